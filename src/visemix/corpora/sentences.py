"""Corpora of sentences: words with times, and the scan of clips into a manifest.

A corpus module lists its clips as `Entry`s and reads the transcript of one of them; everything
else (header, checksum, plausibility of the times, rejected rows) is done here, once.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import nan
from pathlib import Path

import pandas as pd

from visemix.corpora import header
from visemix.corpora.manifest import SPLITS, check_manifest, manifest_frame
from visemix.corpora.table import chunked, scan_chunks

FPS = 25.0


class TranscriptError(ValueError):
    """A transcript is missing or breaks its format; the message says what and where."""


@dataclass(frozen=True)
class TimedWord:
    """A word and when it is said, in seconds from the clip's first frame."""

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Transcript:
    """What is said in a clip; `words` is empty where no times are known."""

    text: str
    words: tuple[TimedWord, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A clip as its corpus lists it; `media` is relative to the corpus root."""

    clip_id: str
    split: str
    media: str
    speaker: str = ""
    complaint: str = ""  # why the clip cannot be used, where the folders say so already


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from and how large it is."""

    title: str
    where: str
    licence: str
    expected: Mapping[str, int]  # clips by split, as published; empty where none are published


def scan_entries(
    root: Path,
    corpus: str,
    entries: Sequence[Entry],
    read_transcript: Callable[[Path, str], Transcript],
    workers: int = 1,
) -> pd.DataFrame:
    """Manifest (with `text`) of the clips, sorted by clip_id.

    read_transcript(root, media) raises TranscriptError. Headers are read and packets counted, but
    no frame is decoded. What is wrong with a clip makes it a rejected row with a reason.
    """
    chunks = chunked(sorted(entries, key=lambda entry: entry.clip_id))
    rows_of = partial(_rows, root, corpus, read_transcript)
    manifest = manifest_frame(scan_chunks(rows_of, chunks, workers), text=True)
    check_manifest(manifest)
    return manifest


def read_list(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a published list that is not blank, stripped.

    Raises FileNotFoundError.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such list of clips; check the path, it comes with the corpus"
        )
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def read_splits(
    lists: Mapping[str, Path], clips_of: Callable[[Path], Sequence[str]]
) -> dict[str, str]:
    """clip -> split, of the clips that each split's list names, read by `clips_of`.

    Raises ValueError for a clip on two lists, and what `clips_of` raises.
    """
    splits: dict[str, str] = {}
    for split, path in lists.items():
        for clip in clips_of(path):
            if splits.setdefault(clip, split) != split:
                raise ValueError(f"{clip} is in {lists[splits[clip]].name} and in {path.name}")
    return splits


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _rows(root: Path, corpus: str, read_transcript, entries) -> list[tuple]:
    rows = []
    for entry in entries:
        facts: dict = {"n_frames": 0, "fps": 0.0, "sha256": "", "text": ""}
        reason = next(_complaints(root, entry, read_transcript, facts), "")
        rows.append(
            (entry.clip_id, corpus, entry.split, "", entry.media)
            + (facts["n_frames"], facts["fps"], nan, nan, entry.speaker, facts["sha256"])
            + ("rejected" if reason else "ok", reason, facts["text"])
        )
    return rows


def _complaints(root: Path, entry: Entry, read_transcript, facts: dict) -> Iterator[str]:
    """What is wrong with a clip, in the order of looking; fills `facts` on the way."""
    if entry.complaint:
        yield entry.complaint
    if entry.split not in SPLITS:
        yield f"the split {entry.split!r} is none of {', '.join(SPLITS)}"
    name = os.path.basename(entry.media)
    yield from header.complaints(root / entry.media, name, facts)
    if not facts["n_frames"]:
        yield f"{name} holds no frame"
    if abs(facts["fps"] - FPS) > 0.01:
        yield f"{facts['fps']:.3f} frames a second instead of {FPS:g}"
    try:
        transcript = read_transcript(root, entry.media)
    except TranscriptError as error:
        yield str(error)
    facts["text"] = transcript.text
    if not transcript.text:
        yield "the transcript is empty"
    yield from _wrong_times(transcript.words, facts["n_frames"] / FPS)


def _wrong_times(words: Sequence[TimedWord], length: float) -> Iterator[str]:
    """`length`: of the clip, in seconds. The ends of last words may lie a little behind it."""
    earlier = 0.0
    for word in words:
        times = f"{word.word!r} is timed {word.start:g} to {word.end:g} s"
        if not 0 <= word.start < word.end:  # also refuses nan
            yield f"{times}: not 0 <= start < end"
        if word.start >= length:
            yield f"{times}, but the clip ends at {length:g} s"
        if word.start < earlier:
            yield f"{times}, but the word before it starts at {earlier:g} s"
        earlier = word.start
