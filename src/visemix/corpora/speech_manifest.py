"""The manifest of a corpus of speech: a row for every utterance, the rejected ones too.

It is apart from the manifest of video clips, because sound has no frames and one file may hold
many utterances.
"""

import numpy as np
import pandas as pd

from visemix.corpora.manifest import SPLITS
from visemix.corpora.table import TableFormat

# column -> kind. `media` is relative to the corpus root; `start_s` and `end_s` are seconds from the
# beginning of that file, of which `sha256` is the checksum; `sample_rate` is the file's, in Hz;
# `speaker` is empty where unknown, `reason` is empty for status ok.
COLUMNS = {
    "clip_id": "text", "corpus": "text", "split": "text", "text": "text", "media": "text",
    "start_s": "float64", "end_s": "float64", "sample_rate": "int64",
    "speaker": "text", "sha256": "text", "status": "text", "reason": "text",
}  # fmt: skip


def _rules(frame: pd.DataFrame):
    """Pairs of a complaint and the rows (boolean) that it is about."""
    ok, start, end = frame["status"] == "ok", frame["start_s"], frame["end_s"]
    yield f"split is none of {SPLITS}", ok & ~frame["split"].isin(SPLITS)
    yield "text or media are empty", ok & ((frame["text"] == "") | (frame["media"] == ""))
    yield "sample_rate is not positive", ok & ~(frame["sample_rate"] > 0)
    timed = (start >= 0) & (start < end) & np.isfinite(end)
    yield "times are not 0 <= start < end", ok & ~timed


SPEECH_MANIFEST = TableFormat("speech manifest", "clip_id", "utterances", COLUMNS, _rules)
