"""The manifest of a corpus of speech: a row for every utterance, the rejected ones too.

It is apart from the manifest of video clips, because sound has no frames and one file may hold
many utterances.
"""

from collections.abc import Iterable
from os import PathLike

import numpy as np
import pandas as pd

from visemix.corpora.manifest import SPLITS
from visemix.corpora.table import Form, check_frame, make_frame, read_frame, write_frame

# column -> kind. `media` is relative to the corpus root; `start_s` and `end_s` are seconds from the
# beginning of that file, of which `sha256` is the checksum; `sample_rate` is the file's, in Hz;
# `speaker` is empty where unknown, `reason` is empty for status ok.
COLUMNS = {
    "clip_id": "text",
    "corpus": "text",
    "split": "text",
    "text": "text",
    "media": "text",
    "start_s": "float64",
    "end_s": "float64",
    "sample_rate": "int64",
    "speaker": "text",
    "sha256": "text",
    "status": "text",
    "reason": "text",
}


def speech_frame(rows: Iterable[tuple]) -> pd.DataFrame:
    """A manifest of speech from tuples in the order of COLUMNS, with the right column types."""
    return make_frame(rows, COLUMNS)


def write_speech_manifest(frame: pd.DataFrame, path: str | PathLike) -> None:
    """Check the manifest and write it as Parquet, sorted by clip_id. Raises ManifestError."""
    write_frame(_FORM, frame, path)


def read_speech_manifest(path: str | PathLike) -> pd.DataFrame:
    """Read and check a manifest. Raises FileNotFoundError or ManifestError, naming the file."""
    return read_frame(_FORM, path)


def check_speech_manifest(frame: pd.DataFrame) -> None:
    """Raise ManifestError, naming all that is wrong at once, if `frame` is no such manifest."""
    check_frame(_FORM, frame)


def _rules(frame: pd.DataFrame):
    """Pairs of a complaint and the rows (boolean) that it is about."""
    ok, start, end = frame["status"] == "ok", frame["start_s"], frame["end_s"]
    yield f"split is none of {SPLITS}", ok & ~frame["split"].isin(SPLITS)
    yield "text or media are empty", ok & ((frame["text"] == "") | (frame["media"] == ""))
    yield "sample_rate is not positive", ok & ~(frame["sample_rate"] > 0)
    yield (
        "times are not 0 <= start < end",
        ok & ~((start >= 0) & (start < end) & np.isfinite(end)),
    )


_FORM = Form("speech manifest", "clip_id", "utterances", COLUMNS, _rules)
