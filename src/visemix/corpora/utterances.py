"""Corpora of speech: the scan of utterances into a manifest of speech.

A corpus module lists its utterances as `Utterance`s; everything else (headers, checksums, times,
rejected rows) is done here, once.
"""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from math import nan
from pathlib import Path

import av
import pandas as pd

from visemix.corpora.header import plain
from visemix.corpora.speech_manifest import SPEECH_MANIFEST
from visemix.corpora.table import chunked, leads_out, scan_chunks
from visemix.run.atomic import sha256_bytes

_ANNOUNCING = ("flac", "nistsphere")  # formats whose headers say how long the sound is
_SLACK = 0.1  # s by which sounds may be shorter than their header, or times behind their end


class NoSoundError(ValueError):
    """A media file has no sound."""


@dataclass(frozen=True)
class Utterance:
    """An utterance as its corpus lists it; `media` is relative to the root."""

    clip_id: str
    split: str
    media: str
    text: str = ""
    speaker: str = ""
    start: float = 0.0  # s from the beginning of the file
    end: float | None = None  # None: to the end of the file
    complaint: str = ""  # why the utterance cannot be used, where the lists say so already


def scan_utterances(
    root: Path,
    corpus: str,
    utterances: Iterable[Utterance],
    max_seconds: float | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Manifest of the utterances, sorted by clip_id.

    Packets are counted, but nothing is decoded. What is wrong with an utterance makes it a rejected
    row with a reason; so does a length above `max_seconds` (None: any), in every split. An mp3
    does not say how long it should be: one that is cut short passes as a shorter one.
    Raises ValueError for a `max_seconds` that is not positive.
    """
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds is {max_seconds}; give a positive number, or None for any")
    found = sorted(_without_copies(utterances), key=lambda utterance: utterance.media)
    files = [list(group) for _, group in groupby(found, key=lambda utterance: utterance.media)]
    rows_of = partial(_rows, root, corpus, max_seconds)
    manifest = SPEECH_MANIFEST.frame(scan_chunks(rows_of, chunked(files), workers))
    manifest = manifest.sort_values("clip_id", ignore_index=True)
    SPEECH_MANIFEST.check(manifest)
    return manifest


def read_sound_header(content: bytes) -> tuple[int, float, float]:
    """Samples a second, seconds that are there, and seconds that the header announces (0: none).

    `content` is a file's content. Raises av.FFmpegError for what is no media file, NoSoundError.
    """
    with av.open(io.BytesIO(content), "r") as container:
        if not container.streams.audio:
            raise NoSoundError("no sound in it")
        sound = container.streams.audio[0]
        packets = container.demux(sound)
        there = sum(p.duration or 0 for p in packets if p.size and not p.is_corrupt)
        announced = sound.duration if container.format.name in _ANNOUNCING else None
        second = sound.time_base or 0
        return sound.sample_rate, float(there * second), float((announced or 0) * second)


def _without_copies(utterances: Iterable[Utterance]) -> Iterator[Utterance]:
    """All utterances; those with a clip_id that another one has are rejected, under a new one."""
    times: dict[str, int] = {}
    for utterance in utterances:
        count = times[utterance.clip_id] = times.get(utterance.clip_id, 0) + 1
        if count > 1:
            clip_id = f"{utterance.clip_id}#{count}"
            utterance = replace(utterance, clip_id=clip_id, complaint="it is listed twice")
        yield utterance


def _rows(root: Path, corpus: str, max_seconds, files: Sequence[Sequence[Utterance]]) -> list:
    rows = []
    for utterances in files:
        facts = _read_file(root, utterances[0].media)
        for utterance in utterances:
            reason = next(_complaints(utterance, facts, max_seconds), "")
            end = facts["seconds"] if utterance.end is None else utterance.end
            times = (nan, nan) if reason else (utterance.start, min(end, facts["seconds"]))
            rows.append(
                (utterance.clip_id, corpus, utterance.split, utterance.text, utterance.media)
                + (*times, facts["sample_rate"], utterance.speaker, facts["sha256"])
                + ("rejected" if reason else "ok", reason)
            )
    return rows


def _read_file(root: Path, media: str) -> dict:
    """sample_rate, seconds and sha256 of a file, and what is wrong with it (or nothing)."""
    facts: dict = {"sample_rate": 0, "seconds": 0.0, "sha256": "", "trouble": ""}
    if not media:
        return facts
    name = os.path.basename(media)
    if leads_out(root, media):
        return facts | {"trouble": f"{name} lies outside the corpus root"}
    try:
        content = (root / media).read_bytes()
        facts["sha256"] = sha256_bytes(content)
        facts["sample_rate"], facts["seconds"], announced = read_sound_header(content)
    except FileNotFoundError:
        return facts | {"trouble": f"{name} is missing"}
    except (av.FFmpegError, NoSoundError) as error:
        trouble = f"{name} cannot be read, it is cut short or damaged ({plain(error)})"
        return facts | {"trouble": trouble}
    if facts["seconds"] < announced - _SLACK:
        there = f"{facts['seconds']:.2f} of {announced:.2f} s are there"
        facts["trouble"] = f"{name} is cut short: {there}"
    elif not facts["seconds"]:
        facts["trouble"] = f"{name} holds no sound"
    return facts


def _complaints(utterance: Utterance, facts: dict, max_seconds: float | None) -> Iterator[str]:
    """What is wrong with an utterance, in the order of looking."""
    if utterance.complaint:
        yield utterance.complaint
    if facts["trouble"]:
        yield facts["trouble"]
    if not utterance.text:
        yield "the transcript is empty"
    length = facts["seconds"]
    start, end = utterance.start, length if utterance.end is None else utterance.end
    times = f"it is timed {start:g} to {end:g} s"
    if not 0 <= start < end:  # also refuses nan
        yield f"{times}: not 0 <= start < end"
    if start >= length or end > length + _SLACK:
        yield f"{times}, but the file ends at {length:g} s"
    if max_seconds is not None and end - start > max_seconds:
        yield f"it is {end - start:.2f} s long, more than {max_seconds:g} s"
