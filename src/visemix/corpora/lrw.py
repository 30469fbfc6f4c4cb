"""LRW and corpora in its layout: `lipread_mp4/WORD/{train,val,test}/WORD_00001.{mp4,txt}`.

Chung & Zisserman, Lip Reading in the Wild, ACCV 2016. A clip is 29 frames at 25 fps with the word
in its middle; the `.txt` beside it carries the word's length as `Duration: 0.53 seconds`. For
academic research, under an agreement with the BBC to be asked for at the address in SOURCE.
Expected: 500 words, 488,766 clips for training, 25,000 for validation, 25,000 for the test.
"""

import csv
import difflib
import logging
import math
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from visemix.corpora import header
from visemix.corpora.manifest import SPLITS, check_manifest, manifest_frame
from visemix.corpora.sentences import Source
from visemix.run.processes import ordered_map

SOURCE = Source(
    "LRW",
    "https://www.robots.ox.ac.uk/~vgg/data/lip_reading/lrw1.html",
    "academic research, under an agreement to be signed",
    {"train": 488_766, "val": 25_000, "test": 25_000},
)
FRAMES = 29
FPS = 25.0
NAMED = 12  # words that a message lists at most
_DURATION = re.compile(r"^\s*Duration:\s*(\S+)\s*seconds?\s*$", re.MULTILINE | re.IGNORECASE)
log = logging.getLogger(__name__)


def scan(
    root: str | os.PathLike,
    corpus: str = "lrw",
    words: Sequence[str] | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Manifest of the corpus under `root`, sorted by clip_id ("<split>/<WORD>_00001").

    `words` are the word folders to read (None: all that are there); those of other words are left
    out, and the log says how many clips they hold.
    Headers are read and packets counted, but no frame is decoded. What is wrong with a clip makes
    it a rejected row with a reason. Speakers come from `root/speakers.csv` (clip_id,speaker)
    where there is one.

    Raises FileNotFoundError for a missing folder or word, ValueError for a broken speakers.csv.
    """
    root = Path(root)
    top = root / "lipread_mp4"
    if not top.is_dir():
        raise FileNotFoundError(
            f"{top}: no such folder; set the corpus root to the folder that holds lipread_mp4"
        )
    found = sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith("."))
    words = _choose_words(top, found, words)
    folders = [
        (word, split.name)
        for word in words
        for split in sorted((top / word).iterdir())
        if split.is_dir() and not split.name.startswith(".")
    ]
    speakers = _read_speakers(root / "speakers.csv")
    chunks = ordered_map(partial(_scan_folder, root, corpus, speakers), folders, workers)
    progress = tqdm(chunks, "scan", len(folders), unit="folder", disable=None)
    frames = [manifest_frame(rows) for rows in progress if rows]
    if not frames:
        raise FileNotFoundError(f"{top}: no clip found; expected WORD/train/WORD_00001.mp4")
    manifest = pd.concat(frames, ignore_index=True).sort_values("clip_id", ignore_index=True)
    check_manifest(manifest)
    return manifest


def word_times(duration: float) -> tuple[float, float]:
    """Start and end (s) of a word of that length (s) in the middle of a clip."""
    middle = FRAMES / FPS / 2
    return middle - duration / 2, middle + duration / 2


def _choose_words(top: Path, found: list[str], words: Sequence[str] | None) -> list[str]:
    if words is None:
        return found
    if absent := sorted(set(words) - set(found)):
        near = {word: difflib.get_close_matches(word.upper(), found, 1) for word in absent}
        named = [f"{word} (did you mean {n[0]}?)" if n else word for word, n in near.items()]
        there = ", ".join(found[:NAMED]) + (", ..." if len(found) > NAMED else "")
        raise FileNotFoundError(
            f"{top}: no folder for the word {', '.join(named)}; correct corpus.words or add the "
            f"clips; {len(found)} words are there: {there or 'none'}"
        )
    others = sorted(set(found) - set(words))
    if others:
        clips = sum(1 for word in others for _ in (top / word).glob("*/[!.]*.mp4"))
        log.warning(
            "%s: %d clips are left out, those of %d of the %d words there; corpus.words names %d",
            top, clips, len(others), len(found), len(set(words)),
        )  # fmt: skip
    return sorted(set(words))


def _read_speakers(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if rows and not {"clip_id", "speaker"} <= set(rows[0]):
        raise ValueError(f"{path}: needs the columns clip_id,speaker, has {','.join(rows[0])}")
    return {row["clip_id"]: row["speaker"] for row in rows}


def _scan_folder(root: Path, corpus: str, speakers: dict[str, str], folder) -> list[tuple]:
    """Manifest rows of one folder WORD/split."""
    word, split = folder
    relative = f"lipread_mp4/{word}/{split}"
    names = {entry.name for entry in os.scandir(root / relative) if entry.name[0] != "."}
    rows = []
    for stem in sorted({name[:-4] for name in names if name.endswith((".mp4", ".txt"))}):
        facts: dict = {"n_frames": 0, "fps": 0.0, "start": math.nan, "end": math.nan, "sha256": ""}
        reason = next(_complaints(root / relative, stem, word, split, names, facts), "")
        clip_id = f"{split}/{stem}"
        rows.append(
            (clip_id, corpus, split, word, f"{relative}/{stem}.mp4")
            + (facts["n_frames"], facts["fps"], facts["start"], facts["end"])
            + (speakers.get(clip_id, ""), facts["sha256"], "rejected" if reason else "ok", reason)
        )
    return rows


def _complaints(folder: Path, stem: str, word: str, split: str, names: set, facts: dict):
    """What is wrong with a clip, in the order of looking; fills `facts` on the way."""
    if split not in SPLITS:
        yield f"the split folder {split!r} is none of {', '.join(SPLITS)}"
    if not re.fullmatch(re.escape(word) + r"_\d+", stem):
        yield f"the file name {stem!r} is not {word}_ and a number"
    if f"{stem}.mp4" not in names:
        yield f"{stem}.mp4 is missing"
    for name in (f"{stem}.mp4", f"{stem}.txt"):
        if name in names and not (folder / name).is_file():
            yield f"{name} is no file, or a link to none"
    yield from header.complaints(folder / f"{stem}.mp4", "the mp4", facts)
    if facts["n_frames"] != FRAMES:
        yield f"{facts['n_frames']} frames instead of {FRAMES}"
    if abs(facts["fps"] - FPS) > 0.01:
        yield f"{facts['fps']:.3f} frames a second instead of {FPS:g}"
    if f"{stem}.txt" not in names:
        yield f"{stem}.txt is missing"
    line = _DURATION.search((folder / f"{stem}.txt").read_text(encoding="utf-8", errors="replace"))
    if line is None:
        yield f"{stem}.txt has no line 'Duration: <number> seconds'"
        return
    try:
        duration = float(line[1])
    except ValueError:
        duration = math.nan
    if not 0 < duration <= FRAMES / FPS:  # also refuses nan
        yield f"{stem}.txt: the Duration {line[1]!r} is not within 0..{FRAMES / FPS} seconds"
    facts["start"], facts["end"] = word_times(duration)
