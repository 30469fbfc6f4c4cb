"""What the tables of corpora share: their columns, checks, and how they are written and read.

Manifests of video and of speech, and tables of portraits, have a row for everything that is there,
the rejected rows and their reasons too.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from visemix.run.atomic import atomic_path

STATUSES = ("ok", "rejected")
_OUTSIDE = r"/.*|(?:.*/)?\.\.(?:/.*)?"  # absolute, or going up


class ManifestError(ValueError):
    """A table breaks its contract; the message lists what is wrong, with examples."""


@dataclass(frozen=True)
class Form:
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


def make_frame(rows: Iterable[tuple], columns: Mapping[str, str]) -> pd.DataFrame:
    """A table from tuples in the order of `columns`, with the right column types."""
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype({c: "str" if kind == "text" else kind for c, kind in columns.items()})


def write_frame(form: Form, frame: pd.DataFrame, path: str | os.PathLike) -> None:
    """Check the table and write it as Parquet, sorted by its key. Raises ManifestError."""
    check_frame(form, frame)
    columns = [*form.columns, *(c for c in form.optional if c in frame.columns)]
    frame = frame[columns].sort_values(form.key, ignore_index=True)
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_frame(form: Form, path: str | os.PathLike) -> pd.DataFrame:
    """Read and check a table. Raises FileNotFoundError or ManifestError, naming the file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such {form.name}; scan the corpus first")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ManifestError(f"{path}: not a Parquet table ({error}); scan again") from error
    try:
        check_frame(form, frame)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from None
    return frame


def check_frame(form: Form, frame: pd.DataFrame) -> None:
    """Raise ManifestError, naming all that is wrong at once, if `frame` is not of that form."""
    known = {**form.columns, **form.optional}
    missing = [c for c in form.columns if c not in frame.columns]
    unknown = [c for c in frame.columns if c not in known]
    if missing or unknown:
        raise ManifestError(f"columns missing: {missing}, unknown: {unknown}")
    problems = [
        f"column {column} holds {frame[column].dtype}, not {kind}"
        for column, kind in known.items()
        if column in frame.columns and not _is_kind(frame[column], kind)
    ]
    if not problems:  # what the values say can only be asked of the right types
        for what, wrong in (*common_rules(form.key, frame), *form.rules(frame)):
            if wrong.any():
                examples = ", ".join(frame[form.key][wrong].head(3))
                problems.append(f"{int(wrong.sum())} {form.rows}: {what} (such as {examples!r})")
    if problems:
        raise ManifestError("; ".join(problems))


def common_rules(key: str, frame: pd.DataFrame) -> Iterator[tuple[str, pd.Series]]:
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
