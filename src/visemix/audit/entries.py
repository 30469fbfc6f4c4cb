"""Findings on single files of a record: is it there, with the digest that another recorded?"""

import json
from pathlib import Path

import pandas as pd

from visemix.run.atomic import sha256_file

MISSING, CHANGED = "missing", "changed"
# (sha256, file that records it); (None, "") where nothing does
Recorded = tuple[str | None, Path | str]
NOWHERE: Recorded = (None, "")


class UnreadableError(ValueError):
    """A record that cannot be followed any further; `status` is that of its entry."""

    def __init__(self, path: Path, why: str, status: str):
        super().__init__(f"{path}: {why}")
        self.path, self.status = path, status


def read_json(path: Path, versions: tuple[int, ...]) -> dict:
    """A JSON record of a known version. Raises UnreadableError."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise UnreadableError(path, f"it is no JSON any more ({error})", CHANGED) from None
    if content.get("version") not in versions:
        why = f"version {content.get('version')!r}; this code reads {', '.join(map(str, versions))}"
        raise UnreadableError(path, why, MISSING)
    return content


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file. Raises UnreadableError."""
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        why = f"it is no Parquet file any more ({error})"
        raise UnreadableError(path, why, CHANGED) from None


def file_entry(artifact: str, path: Path, recorded: Recorded = NOWHERE) -> dict:
    """Entry {artifact, path, sha256, recorded_sha256, recorded_in, status, finding} of a file."""
    digest, place = recorded
    found = sha256_file(path) if path.is_file() else None
    entry = {
        "artifact": artifact, "path": str(path), "sha256": found, "recorded_sha256": digest,
        "recorded_in": str(place) if digest else "", "status": "", "finding": "",
    }  # fmt: skip
    if found is None:
        return entry | {"status": MISSING, "finding": f"{path} is missing"}
    if digest and found != digest:
        finding = f"{path}: its sha256 is {_short(found)}, {place} says {_short(digest)}"
        return entry | {"status": CHANGED, "finding": finding}
    return entry


def _short(digest: str) -> str:
    return f"{digest[:16]}..."


def content_entry(artifact: str, path: Path, found: str, recorded: Recorded) -> dict:
    """The same for a digest of what a file says, whatever its bytes; `found` is that digest."""
    digest, place = recorded
    entry = file_entry(artifact, path)
    entry |= {"sha256": found, "recorded_sha256": digest, "recorded_in": str(place)}
    if found != digest:
        finding = f"{path}: the sha256 of its content is {_short(found)}, "
        finding += f"{place} says {_short(digest)}"
        entry |= {"status": CHANGED, "finding": finding}
    return entry


def value_entry(artifact: str, path: Path, findings: list[str], recorded: Recorded = NOWHERE):
    """The same for a file whose values contradict others, as `findings` say, if there are any."""
    entry = file_entry(artifact, path, recorded)
    if findings:
        entry |= {"status": CHANGED, "finding": f"{path}: {'; '.join(findings)}"}
    return entry
