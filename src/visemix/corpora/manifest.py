"""The manifest: one table per corpus with every clip, the rejected ones and their reasons too."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.run.atomic import atomic_path

SPLITS = ("train", "val", "test")
STATUSES = ("ok", "rejected")

# column -> kind. `media` is relative to the corpus root, times are seconds from the clip's first
# frame (NaN where unknown), `speaker` is empty where unknown, `reason` is empty for status ok.
COLUMNS = {
    "clip_id": "text",
    "corpus": "text",
    "split": "text",
    "label": "text",
    "media": "text",
    "n_frames": "int64",
    "fps": "float64",
    "word_start_s": "float64",
    "word_end_s": "float64",
    "speaker": "text",
    "sha256": "text",
    "status": "text",
    "reason": "text",
}
# columns that a manifest may have after these; corpora of sentences have their words in `text`
OPTIONAL_COLUMNS = {"text": "text"}


class ManifestError(ValueError):
    """A manifest breaks its contract; the message lists what is wrong, with examples."""


def manifest_frame(rows: Iterable[tuple], text: bool = False) -> pd.DataFrame:
    """A manifest from tuples in the order of COLUMNS, with the right column types.

    With `text`, for corpora of sentences, each tuple ends with what is said.
    """
    columns = COLUMNS | (OPTIONAL_COLUMNS if text else {})
    frame = pd.DataFrame(list(rows), columns=list(columns))
    return frame.astype({c: "str" if kind == "text" else kind for c, kind in columns.items()})


def write_manifest(frame: pd.DataFrame, path: str | PathLike) -> None:
    """Check the manifest and write it as Parquet, sorted by clip_id. Raises ManifestError."""
    check_manifest(frame)
    columns = [*COLUMNS, *(c for c in OPTIONAL_COLUMNS if c in frame.columns)]
    frame = frame[columns].sort_values("clip_id", ignore_index=True)
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_manifest(path: str | PathLike) -> pd.DataFrame:
    """Read and check a manifest. Raises FileNotFoundError or ManifestError, naming the file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest; scan the corpus first")
    try:
        frame = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ManifestError(f"{path}: not a Parquet table ({error}); scan again") from error
    try:
        check_manifest(frame)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from None
    return frame


def check_manifest(frame: pd.DataFrame) -> None:
    """Raise ManifestError, naming all that is wrong at once, if `frame` is not a manifest."""
    missing = [c for c in COLUMNS if c not in frame.columns]
    known = COLUMNS | OPTIONAL_COLUMNS
    unknown = [c for c in frame.columns if c not in known]
    if missing or unknown:
        raise ManifestError(f"columns missing: {missing}, unknown: {unknown}")
    problems = [
        f"column {column} holds {frame[column].dtype}, not {kind}"
        for column, kind in known.items()
        if column in frame.columns and not _is_kind(frame[column], kind)
    ]
    if not problems:  # what the values say can only be asked of the right types
        for what, wrong in _rules(frame):
            if wrong.any():
                examples = ", ".join(frame["clip_id"][wrong].head(3))
                problems.append(f"{int(wrong.sum())} clips: {what} (such as {examples!r})")
    if problems:
        raise ManifestError("; ".join(problems))


def _is_kind(column: pd.Series, kind: str) -> bool:
    if kind != "text":
        return column.dtype == kind
    if isinstance(column.dtype, pd.StringDtype):
        return not column.hasnans
    return bool(column.map(lambda value: isinstance(value, str)).all())


def _rules(frame: pd.DataFrame):
    """Pairs of a complaint and the rows (boolean) that it is about."""
    ok = frame["status"] == "ok"
    start, end = frame["word_start_s"], frame["word_end_s"]
    yield "clip_id is empty", frame["clip_id"] == ""
    yield "clip_id is not unique", frame["clip_id"].duplicated(keep=False)
    yield f"status is none of {STATUSES}", ~frame["status"].isin(STATUSES)
    yield "rejected without a reason", (frame["status"] == "rejected") & (frame["reason"] == "")
    yield "status ok but a reason is given", ok & (frame["reason"] != "")
    yield f"split is none of {SPLITS}", ok & ~frame["split"].isin(SPLITS)
    unlabelled = frame["label"] == ""
    if "text" in frame.columns:
        unlabelled &= frame["text"] == ""
    yield "label and text, or media, are empty", ok & (unlabelled | (frame["media"] == ""))
    yield "media is not relative to the corpus root", frame["media"].str.startswith("/")
    yield "n_frames or fps is not positive", ok & ~((frame["n_frames"] > 0) & (frame["fps"] > 0))
    yield "sha256 is not 64 hexadecimal digits", ok & ~frame["sha256"].str.fullmatch("[0-9a-f]{64}")
    yield (
        "word times are not 0 <= start < end",
        ok & ~((start >= 0) & (start < end) & np.isfinite(end)) & ~(start.isna() & end.isna()),
    )
