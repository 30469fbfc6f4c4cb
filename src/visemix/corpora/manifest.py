"""The manifest: one table per corpus with every clip, the rejected ones and their reasons too."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from visemix.corpora.table import STATUSES as STATUSES
from visemix.corpora.table import ManifestError as ManifestError
from visemix.corpora.table import TableFormat

SPLITS = ("train", "val", "test")

# column -> kind. `media` is relative to the corpus root, times are seconds from the clip's first
# frame (NaN where unknown), `speaker` is empty where unknown, `reason` is empty for status ok.
COLUMNS = {
    "clip_id": "text", "corpus": "text", "split": "text", "label": "text", "media": "text",
    "n_frames": "int64", "fps": "float64", "word_start_s": "float64", "word_end_s": "float64",
    "speaker": "text", "sha256": "text", "status": "text", "reason": "text",
}  # fmt: skip
# columns that a manifest may have after these; corpora of sentences have their words in `text`
OPTIONAL_COLUMNS = {"text": "text"}


def manifest_frame(rows: Iterable[tuple], text: bool = False) -> pd.DataFrame:
    """A manifest from tuples in the order of COLUMNS, with the right column types.

    With `text`, for corpora of sentences, each tuple ends with what is said.
    """
    return _FORMAT.frame(rows, text)


def _rules(frame: pd.DataFrame):
    """Pairs of a complaint and the rows (boolean) that it is about."""
    ok = frame["status"] == "ok"
    start, end = frame["word_start_s"], frame["word_end_s"]
    yield f"split is none of {SPLITS}", ok & ~frame["split"].isin(SPLITS)
    unlabelled = frame["label"] == ""
    if "text" in frame.columns:
        unlabelled &= frame["text"] == ""
    yield "label and text, or media, are empty", ok & (unlabelled | (frame["media"] == ""))
    yield "n_frames or fps is not positive", ok & ~((frame["n_frames"] > 0) & (frame["fps"] > 0))
    timed = (start >= 0) & (start < end) & np.isfinite(end)
    yield "word times are not 0 <= start < end", ok & ~timed & ~(start.isna() & end.isna())


_FORMAT = TableFormat("manifest", "clip_id", "clips", COLUMNS, _rules, OPTIONAL_COLUMNS)
read_manifest, write_manifest, check_manifest = _FORMAT.read, _FORMAT.write, _FORMAT.check
