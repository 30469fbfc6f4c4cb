"""GRID: 34 speakers, 1,000 six-word sentences each, 3 s of video at 25 fps.

Cooke, Barker, Cunningham & Shao, An audio-visual corpus for speech perception and automatic speech
recognition, JASA 120(5), 2006. Free to download: https://zenodo.org/records/3625687 (`s1.zip` ..
`s34.zip` and `alignments.zip`); licence there: CC BY 4.0. Expected: 33 speakers of 1,000 clips,
because speaker s21 has no video.

Read are the `.mpg` files under the root, in folders of any depth. The speaker is the nearest folder
called `s<number>`, or a prefix of the file name (`s1_lbaq6p.mpg`). The file name is the sentence:
command, colour, preposition, letter, digit and adverb, a character each (`brbk7n`: bin red by k
seven now). Times of words come from `<name>.align`, looked for beside the clip, and in the folders
`align` and `alignments/s<number>` beside or above it; where there is none, words have no times.
"""

import os
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from visemix.corpora.sentences import (
    Entry,
    Source,
    TimedWord,
    Transcript,
    TranscriptError,
    scan_entries,
)

SOURCE = Source(
    "GRID",
    "https://zenodo.org/records/3625687 (s1.zip .. s34.zip and alignments.zip)",
    "CC BY 4.0",
    {"train": 27_000, "val": 2_000, "test": 4_000},
)
# The four unseen speakers (two men, two women) of LipNet, Assael et al. 2016. The speakers for
# validation are our choice: nobody names any.
TEST_SPEAKERS = ("s1", "s2", "s20", "s22")
VAL_SPEAKERS = ("s3", "s4")
UNITS_PER_SECOND = 25_000  # an .align counts samples of 25 kHz sound: 1000 to a video frame

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_GRAMMAR = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},  # all but w
    dict(zip("z123456789", _DIGITS, strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
_SENTENCE = re.compile("(?:(s[0-9]+)_)?(" + "".join(f"[{''.join(w)}]" for w in _GRAMMAR) + ")")
_SILENCE = ("sil", "sp")


def scan(
    root: str | os.PathLike,
    corpus: str = "grid",
    workers: int = 1,
    test_speakers: Collection[str] = TEST_SPEAKERS,
    val_speakers: Collection[str] = VAL_SPEAKERS,
    unknown_speakers: str | None = None,
) -> pd.DataFrame:
    """Manifest (with `text`) of the clips under `root`; clip_id is "<split>/<speaker>_<name>".

    Speakers are the units of the split: those not named train. `unknown_speakers` is the split of
    clips whose speaker neither folder nor file name says; None rejects them, because the same
    person might be in two splits. Of two files of one speaker with one name (the archives come in
    two resolutions) the first by path counts. What is wrong with a clip makes it a rejected row
    with a reason.

    Raises FileNotFoundError where there is no `.mpg`, ValueError for a speaker of two splits.
    """
    root = Path(root)
    if both := sorted(set(test_speakers) & set(val_speakers)):
        raise ValueError(f"speaker {', '.join(both)} is for test and for validation; choose one")
    files = sorted(p for p in root.rglob("*.mpg") if not p.name.startswith("."))
    if not files:
        raise FileNotFoundError(
            f"{root}: no .mpg file in it; give the folder with the unpacked s1 .. s34, from "
            f"{SOURCE.where}"
        )
    splits = dict.fromkeys(val_speakers, "val") | dict.fromkeys(test_speakers, "test")
    entries = [_entry(p.relative_to(root), splits, unknown_speakers) for p in files]
    return scan_entries(root, corpus, _without_copies(entries), read_transcript, workers)


def sentence(name: str) -> str:
    """The sentence of a file name: sentence("brbk7n") is "BIN RED BY K SEVEN NOW".

    Raises TranscriptError for a name outside the grammar.
    """
    if not (match := _SENTENCE.fullmatch(name.lower())):
        raise TranscriptError(
            f"the file name {name!r} is no sentence of GRID's grammar, such as 'brbk7n'"
        )
    words = zip(_GRAMMAR, match[2], strict=True)
    return " ".join(choices[letter] for choices, letter in words).upper()


def read_transcript(root: str | os.PathLike, media: str) -> Transcript:
    """The sentence of a clip, with times where there is an .align.

    Raises TranscriptError for a file name outside the grammar, and for an .align that is broken or
    has other words than the file name.
    """
    path = Path(media)
    text = sentence(path.stem)
    align = _find_align(Path(root), path)
    if align is None:
        return Transcript(text)
    words = _read_align(align)
    said = " ".join(word.word for word in words)
    if said != text:
        raise TranscriptError(f"{align.name} says {said!r}, the file name {text!r}")
    return Transcript(text, words)


def _entry(path: Path, splits: dict[str, str], unknown: str | None) -> Entry:
    """`path` relative to the corpus root."""
    match = _SENTENCE.fullmatch(path.stem.lower())
    prefix = match[1] if match else None
    folders = [part for part in path.parts[-2::-1] if re.fullmatch("s[0-9]+", part.lower())]
    speaker = prefix or (folders[0].lower() if folders else "")
    known = splits.get(speaker, "train") if speaker else unknown
    complaint = "" if known else "the speaker is unknown: put the clip into a folder s<number>"
    name = match[2] if match else path.stem
    split = known or "train"
    owner = speaker or "-".join(path.parts[:-1])
    return Entry(f"{split}/{owner}_{name}", split, path.as_posix(), speaker, complaint)


def _without_copies(entries: list[Entry]) -> list[Entry]:
    """The first file of each clip: archives of two resolutions hold the same clips."""
    return list({entry.clip_id: entry for entry in reversed(entries)}.values())


def _find_align(root: Path, media: Path) -> Path | None:
    """The .align of a clip, beside it or in the folders in which the archives unpack them."""
    speaker = next((p for p in media.parts[-2::-1] if re.fullmatch("s[0-9]+", p.lower())), None)
    places = [media.parent, media.parent / "align"]
    for folder in media.parents:
        if speaker is None:  # names repeat from speaker to speaker
            break
        places += [folder / "align"] if speaker in folder.parts else []
        places += [folder / top / speaker for top in ("align", "alignments")]
    found = (root / place / f"{media.stem}.align" for place in places)
    return next((path for path in found if path.is_file()), None)


def _read_align(path: Path) -> tuple[TimedWord, ...]:
    """The words of an .align, upper case, without silences."""
    words = []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            start, end, word = line.split()
            times = float(start) / UNITS_PER_SECOND, float(end) / UNITS_PER_SECOND
        except ValueError:
            raise TranscriptError(
                f"{path.name}, line {number}: expected 'start end word', not {line.strip()!r}"
            ) from None
        if word.lower() not in _SILENCE:
            words.append(TimedWord(word.upper(), *times))
    return tuple(words)
