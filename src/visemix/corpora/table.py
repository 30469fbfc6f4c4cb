"""The tables of corpora: their columns and checks, and how they are scanned, written and read.

Manifests of video and of speech, and tables of portraits, have a row for everything that is there,
the rejected rows and their reasons too.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from visemix.run.atomic import atomic_path
from visemix.run.processes import ordered_map

STATUSES = ("ok", "rejected")
CHUNK = 64  # clips or files that a process scans at a time
_OUTSIDE = r"/.*|(?:.*/)?\.\.(?:/.*)?"  # absolute, or going up


class ManifestError(ValueError):
    """A table breaks its contract; the message lists what is wrong, with examples."""


@dataclass(frozen=True)
class TableFormat:
    """The contract of a table: a row has a unique `key`, `rows` is what people call the rows.

    Columns map names to "text" or a NumPy type; `rules(frame)` yields pairs of a complaint and the
    rows (boolean) that it is about, beyond `common_rules`.
    """

    name: str
    key: str
    rows: str
    columns: Mapping[str, str]
    rules: Callable[[pd.DataFrame], Iterable[tuple[str, pd.Series]]]
    optional: Mapping[str, str] = field(default_factory=dict)

    def frame(self, rows: Iterable[tuple], optional: bool = False) -> pd.DataFrame:
        """A table from tuples in the order of the columns, with the right column types.

        Whether each tuple ends with the `optional` columns.
        """
        columns = {**self.columns, **(self.optional if optional else {})}
        frame = pd.DataFrame(list(rows), columns=list(columns))
        return frame.astype({c: "str" if kind == "text" else kind for c, kind in columns.items()})

    def write(self, frame: pd.DataFrame, path: str | os.PathLike) -> None:
        """Check the table and write it as Parquet, sorted by its key. Raises ManifestError."""
        self.check(frame)
        columns = [*self.columns, *(c for c in self.optional if c in frame.columns)]
        frame = frame[columns].sort_values(self.key, ignore_index=True)
        with atomic_path(path) as temporary:
            frame.to_parquet(temporary, index=False)

    def read(self, path: str | os.PathLike) -> pd.DataFrame:
        """Read and check a table. Raises FileNotFoundError or ManifestError, naming the file."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such {self.name}; scan the corpus first")
        try:
            frame = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise ManifestError(f"{path}: not a Parquet table ({error}); scan again") from error
        try:
            self.check(frame)
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from None
        return frame

    def check(self, frame: pd.DataFrame) -> None:
        """Raise ManifestError, naming all that is wrong at once, for another table."""
        known = {**self.columns, **self.optional}
        missing = [c for c in self.columns if c not in frame.columns]
        unknown = [c for c in frame.columns if c not in known]
        if missing or unknown:
            raise ManifestError(f"columns missing: {missing}, unknown: {unknown}")
        problems = [
            f"column {column} holds {frame[column].dtype}, not {kind}"
            for column, kind in known.items()
            if column in frame.columns and not _is_kind(frame[column], kind)
        ]
        if not problems:  # what the values say can only be asked of the right types
            for what, wrong in (*_common_rules(self.key, frame), *self.rules(frame)):
                if wrong.any():
                    examples = ", ".join(frame[self.key][wrong].head(3))
                    count = int(wrong.sum())
                    problems.append(f"{count} {self.rows}: {what} (such as {examples!r})")
        if problems:
            raise ManifestError("; ".join(problems))


def scan_chunks(
    rows_of: Callable[[Sequence], list[tuple]], chunks: Sequence, workers: int
) -> Iterator[tuple]:
    """The rows that rows_of(chunk) gives, in the order of the chunks, with a progress bar."""
    rows = ordered_map(rows_of, chunks, workers)
    for chunk in tqdm(rows, "scan", len(chunks), unit="chunk", disable=None):
        yield from chunk


def chunked(items: Sequence) -> list[Sequence]:
    """The items in chunks of CHUNK."""
    return [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]


def _common_rules(key: str, frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
    """Pairs of a complaint and the rows (boolean) that it is about."""
    ok = frame["status"] == "ok"
    yield f"{key} is empty", frame[key] == ""
    yield f"{key} is not unique", frame[key].duplicated(keep=False)
    yield f"status is none of {STATUSES}", ~frame["status"].isin(STATUSES)
    yield "rejected without a reason", (frame["status"] == "rejected") & (frame["reason"] == "")
    yield "status ok but a reason is given", ok & (frame["reason"] != "")
    yield "media is not relative to the corpus root", frame["media"].str.fullmatch(_OUTSIDE)
    yield "sha256 is not 64 hexadecimal digits", ok & ~frame["sha256"].str.fullmatch("[0-9a-f]{64}")


def leads_out(root: Path, media: str) -> bool:
    """Whether a path leads out of the corpus: absolute, by '..', or by a link."""
    real = os.path.realpath(root)
    return os.path.commonpath([real, os.path.realpath(root / media)]) != real


def _is_kind(column: pd.Series, kind: str) -> bool:
    if kind != "text":
        return column.dtype == kind
    if isinstance(column.dtype, pd.StringDtype):
        return not column.hasnans
    return bool(column.map(lambda value: isinstance(value, str)).all())
