"""LRS2 and LRS3: sentences of BBC television, and of TED and TEDx talks, at 25 fps.

LRS2: Son Chung, Senior, Vinyals & Zisserman, Lip Reading Sentences in the Wild, CVPR 2017 (160x160
pixels). LRS3: Afouras, Chung & Zisserman, arXiv 1809.00496 (224x224 pixels). Both are for academic
research under an agreement with the BBC or the authors, to be asked for at
https://www.robots.ox.ac.uk/~vgg/data/lip_reading/. Expected: LRS2 about 96,000 clips in pretrain,
47,000 in train and val, 1,243 in test; LRS3 about 119,000 in pretrain, 32,000 in trainval and 1,321
in test. Only the sizes of the test sets are exact, and only those are checked.

    LRS2  main/<id>/00001.{mp4,txt}  pretrain/<id>/00001.{mp4,txt}
          train.txt val.txt test.txt pretrain.txt: a line '<id>/<clip>' each, beside `main` or above
    LRS3  pretrain/<id>/00001.{mp4,txt}  trainval/<id>/50001.{mp4,txt}  test/<id>/00001.{mp4,txt}

Pretrain and trainval are the split train. LRS3 has no validation split of its own: give a list of
clips. A `.txt` has its sentence in a line `Text:`, and in most files, but not in LRS2's main, a
table of times after a line `WORD START END`. LRS3's speaker is the id of the video, since one
person speaks in most talks; LRS2's speakers are not known.
"""

import os
from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import SPLITS
from visemix.corpora.sentences import (
    Entry,
    Source,
    TimedWord,
    Transcript,
    TranscriptError,
    read_list,
    read_splits,
    scan_entries,
    visible_folders,
)

_SITE = "https://www.robots.ox.ac.uk/~vgg/data/lip_reading/"
_LICENCE = "academic research, under an agreement to be signed"
SOURCES = {
    "lrs2": Source("LRS2", f"{_SITE}lrs2.html", _LICENCE, {"test": 1_243}),
    "lrs3": Source("LRS3", f"{_SITE}lrs3.html", _LICENCE, {"test": 1_321}),
}


def scan(
    root: str | os.PathLike,
    corpus: str = "lrs3",
    workers: int = 1,
    validation_list: str | os.PathLike | None = None,
    pretrain: bool = True,
) -> pd.DataFrame:
    """Manifest (with `text`) of the LRS2 or LRS3 (`corpus`) under `root`.

    `root` holds `main` or `trainval`; clip_id is "<folder>/<id>/<clip>". `validation_list` (LRS3)
    is a file with a line "trainval/<id>/<clip>" for each clip of the split val. `pretrain`: whether
    to take the long clips of that folder. What is wrong with a clip makes it a rejected row
    with a reason; so does a clip of LRS2 that no list names, and a listed one that is not there.

    Raises FileNotFoundError for missing folders or lists, ValueError for a wrong `corpus`, or a
    clip on two lists.
    """
    root = Path(root)
    if corpus not in SOURCES:
        raise ValueError(f"corpus is {corpus!r}; give {' or '.join(SOURCES)}")
    if corpus == "lrs2" and validation_list is not None:
        raise ValueError(
            "LRS2 has a validation list of its own, val.txt; validation_list is LRS3's"
        )
    entries = _lrs2(root) if corpus == "lrs2" else _lrs3(root, validation_list)
    if not pretrain:
        entries = [entry for entry in entries if not entry.media.startswith("pretrain/")]
    return scan_entries(root, corpus, entries, read_transcript, workers)


def read_transcript(root: str | os.PathLike, media: str) -> Transcript:
    """The sentence of a clip, and its words with times where the .txt has them.

    Blocks and lines are found by the words that head them, since their order varies. Raises
    TranscriptError for a missing or broken .txt.
    """
    path = Path(root, media).with_suffix(".txt")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise TranscriptError(f"{path.name} is missing") from None
    except UnicodeDecodeError:
        lines = path.read_text(encoding="latin-1").split("\n")
    texts = [line.split(":", 1)[1] for line in lines if line.strip().startswith("Text:")]
    if not texts:
        raise TranscriptError(f"{path.name} has no line 'Text: <words>'")
    return Transcript(" ".join(texts[0].split()), _timed_words(path.name, lines))


def _timed_words(name: str, lines: list[str]) -> tuple[TimedWord, ...]:
    """The rows below the line 'WORD START END', up to an empty line."""
    heads = [n for n, line in enumerate(lines) if line.split()[:3] == ["WORD", "START", "END"]]
    first = heads[0] + 1 if heads else len(lines)
    words: list[TimedWord] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            break
        try:
            word, start, end = line.split()[:3]
            words.append(TimedWord(word, float(start), float(end)))
        except ValueError:
            raise TranscriptError(
                f"{name}, line {number}: expected 'word start end', not {line.strip()!r}"
            ) from None
    return tuple(words)


def _lrs3(root: Path, validation_list) -> list[Entry]:
    folders = {"pretrain": "train", "trainval": "train", "test": "test"}
    _need(root, [name for name in folders if (root / name).is_dir()], "pretrain, trainval and test")
    validation = set(_read_list(Path(validation_list))) if validation_list is not None else set()
    entries = []
    for folder, split in folders.items():
        for clip in _clips(root, folder):
            listed = folder == "trainval" and clip in validation
            validation.discard(clip)
            video = clip.split("/")[1]
            entries.append(Entry(clip, "val" if listed else split, f"{clip}.mp4", video))
    if validation:
        raise FileNotFoundError(
            f"{validation_list}: {len(validation)} of its clips are not in {root}, such as "
            f"{min(validation)!r}; lines read trainval/<id>/<clip>"
        )
    return entries


def _lrs2(root: Path) -> list[Entry]:
    _need(root, [name for name in ("main", "pretrain") if (root / name).is_dir()], "main, pretrain")
    listed = read_splits({split: _find_list(root, f"{split}.txt") for split in SPLITS}, _read_list)
    splits = {f"main/{clip}": split for clip, split in listed.items()}
    clips = set(_clips(root, "main")) | set(splits)
    unlisted = "none of train.txt, val.txt and test.txt names the clip"
    entries = [
        Entry(c, splits.get(c, "train"), f"{c}.mp4", complaint="" if c in splits else unlisted)
        for c in sorted(clips)
    ]
    return entries + [Entry(c, "train", f"{c}.mp4") for c in _clips(root, "pretrain")]


def _need(root: Path, found: list[str], expected: str) -> None:
    if not found:
        raise FileNotFoundError(
            f"{root}: no folder {expected}; give the folder that holds them, from {_SITE}"
        )


def _clips(root: Path, folder: str) -> list[str]:
    """Clips "<folder>/<id>/<clip>" of which there is an .mp4 or a .txt."""
    if not (root / folder).is_dir():
        return []
    return sorted(
        {
            f"{folder}/{video.name}/{file.stem}"
            for video in visible_folders(root / folder)
            for file in video.iterdir()
            if file.suffix in (".mp4", ".txt") and not file.name.startswith(".")
        }
    )


def _find_list(root: Path, name: str) -> Path:
    for path in (root / name, root.parent / name):
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{root / name}: no such list of clips; it comes with the corpus, lay it beside `main`"
    )


def _read_list(path: Path) -> list[str]:
    """The first field of every line; test.txt has a second one."""
    return [line.split()[0] for _, line in read_list(path)]
