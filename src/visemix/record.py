"""Record a finished run with DVC, and restore it in a fresh clone.

Snakemake runs, DVC records. After a restore the files are right but Snakemake has no memory of
them; `snakemake --touch --forceall` gives it one. That blesses whatever lies there, so it is done
only after every file was read and found to have the recorded digest (DVC takes those of its cache
and of a remote on trust), and after `dvc status` found parameters and everything else as recorded.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import yaml

SHOWN = 5  # damaged files named in a message
MISSING = (
    "files of the record are missing there, or others lie here that DVC will not overwrite: see "
    "its message above"
)
DAMAGED = (
    "delete them here and in DVC's cache (the paths in brackets) and say `visemix restore` again; "
    "if they come back so, the remote's copies are damaged"
)


class RecordError(RuntimeError):
    """A run cannot be recorded or restored; the message says why and what to do."""


def _call(*command: str, quiet: bool = False) -> subprocess.CompletedProcess:
    # python -m: the DVC and Snakemake of this environment, whatever PATH says
    print("+ " + " ".join(command), file=sys.stderr)
    return subprocess.run([sys.executable, "-m", *command], capture_output=quiet, text=True)


def _must(*command: str, remedy: str) -> None:
    if _call(*command).returncode:
        raise RecordError(f"`{' '.join(command)}` failed; {remedy}")


def _has_remote() -> bool:
    return bool(_call("dvc", "remote", "list", quiet=True).stdout.strip())


def record() -> None:
    """Record all outputs in dvc.lock and DVC's cache; push them when a DVC remote is configured.

    Raises RecordError when `snakemake` still has something to do, or when DVC fails.
    """
    plan = _call("snakemake", "--dry-run", "--quiet", "rules", "--cores", "1", quiet=True)
    said = (plan.stdout + plan.stderr).strip()
    if plan.returncode:
        raise RecordError(
            f"`snakemake --dry-run` fails here and ends with: {said.splitlines()[-1]}"
        )
    if "Nothing to be done" not in said:
        raise RecordError("the run is not finished; run `snakemake --cores all` first")
    _must("dvc", "commit", "--force", remedy="see DVC's message above")
    if _has_remote():
        _must("dvc", "push", remedy="check the remote with `dvc remote list`; nothing is lost")
    print("recorded; commit dvc.lock with git to keep it")


def restore() -> None:
    """Bring back the outputs that dvc.lock names, check them, and tell Snakemake about them.

    Pulls from the DVC remote when one is configured, else takes them from the local cache.
    Raises RecordError when something is missing or differs from the record; then Snakemake is told
    nothing.
    """
    if not Path("dvc.lock").is_file():
        raise RecordError("no dvc.lock here: nothing was recorded, or it was not committed to git")
    _must("dvc", "pull" if _has_remote() else "checkout", remedy=MISSING)
    _check_digests()
    _must(
        "dvc", "status", "--quiet",
        remedy="files or params.yaml differ from dvc.lock; `dvc status` lists them",
    )  # fmt: skip
    _must(
        "snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all",
        remedy="the recorded outputs are incomplete; run `snakemake --cores all`",
    )  # fmt: skip
    print("restored; `snakemake --dry-run` has nothing to do")


def _check_digests() -> None:
    """Read every recorded file; RecordError names those whose bytes are not the recorded ones."""
    cache = Path(_call("dvc", "cache", "dir", quiet=True).stdout.strip()) / "files" / "md5"
    stages = yaml.safe_load(Path("dvc.lock").read_text())["stages"].values()
    damaged = []
    for out in (out for stage in stages for out in stage["outs"]):
        files = {Path(out["path"]): out["md5"]}
        if out["md5"].endswith(".dir"):  # a folder: the list of its files is in the cache
            listing = _in_cache(cache, out["md5"])
            if _md5(listing) != out["md5"].removesuffix(".dir"):
                raise RecordError(f"{out['path']}, its list ({listing}), is damaged; {DAMAGED}")
            listed = json.loads(listing.read_text())
            files = {Path(out["path"]) / file["relpath"]: file["md5"] for file in listed}
        damaged += [(path, digest) for path, digest in files.items() if _md5(path) != digest]
    if damaged:
        named = ", ".join(f"{p} ({_in_cache(cache, digest)})" for p, digest in damaged[:SHOWN])
        raise RecordError(
            f"{len(damaged)} restored files are not as recorded: {named}"
            f"{', ...' if len(damaged) > SHOWN else ''}; {DAMAGED}"
        )


def _in_cache(cache: Path, digest: str) -> Path:
    return cache / digest[:2] / digest[2:]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
