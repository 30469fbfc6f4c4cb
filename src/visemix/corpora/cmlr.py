"""CMLR: 102,072 Mandarin sentences of 11 news presenters of Chinese television, at 25 fps.

Zhao, Xu & Song, A Cascade Sequence-to-Sequence Model for Chinese Mandarin Lip Reading, ACM MM Asia
2019, arXiv 1908.04917. For research at universities and institutes, from
https://www.vipazoo.cn/CMLR.html. Expected: train 71,448, val 10,206, test 20,418; speakers are in
all three splits.

    video/s1/20170121/section_1_000.80_002.91.mp4   text/s1/20170121/section_1_000.80_002.91.txt
    train.csv val.csv test.csv: an id each line, s1/20170121/section_1_000.80_002.91

Copies differ: the date may stand before `section` in file names and ids too, and does in some
instead of the folder. The first line of a `.txt` is the sentence, in characters without spaces.
What stands below it (words with times) is not read: its format could not be checked on the corpus.
"""

import os
import re
from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import SPLITS
from visemix.corpora.sentences import (
    Entry,
    Source,
    Transcript,
    TranscriptError,
    read_list,
    read_splits,
    scan_entries,
)

SOURCE = Source(
    "CMLR",
    "https://www.vipazoo.cn/CMLR.html (video, text, train.csv, val.csv, test.csv)",
    "research at universities and institutes only",
    {"train": 71_448, "val": 10_206, "test": 20_418},
)
_CLIP = re.compile(
    r"(?P<speaker>s\d+)/(?P<date>\d{8})[/_](?:(?P=date)_)?(?P<section>section_[^/,]+)"
)


def scan(root: str | os.PathLike, corpus: str = "cmlr", workers: int = 1) -> pd.DataFrame:
    """Manifest (with `text`) of the clips under `root`; clip_id is "s1/20170121/section_...".

    What is wrong with a clip makes it a rejected row with a reason; so does a clip that no list
    names, and a listed one that is not there. Raises FileNotFoundError for a missing folder or
    list, ValueError for a line that is no id, a clip on two lists, or one that is there twice.
    """
    root = Path(root)
    if not (root / "video").is_dir():
        raise FileNotFoundError(
            f"{root / 'video'}: no such folder; give the folder that holds video, text and the "
            f"lists, from {SOURCE.where}"
        )
    splits = read_splits({split: root / f"{split}.csv" for split in SPLITS}, _read_list)
    media = _find_clips(root)
    unlisted = "none of train.csv, val.csv and test.csv names the clip"
    entries = [
        Entry(
            clip,
            splits.get(clip, "train"),
            media.get(clip, f"video/{clip}.mp4"),
            clip.split("/")[0],
            "" if clip in splits else unlisted,
        )
        for clip in sorted(set(splits) | set(media))
    ]
    return scan_entries(root, corpus, entries, read_transcript, workers)


def read_transcript(root: str | os.PathLike, media: str) -> Transcript:
    """The sentence of a clip, without times. Raises TranscriptError where it is not there."""
    text = media.removeprefix("video/").removesuffix(".mp4")
    path = Path(root, "text", f"{text}.txt")
    try:
        return Transcript("".join(path.read_text(encoding="utf-8-sig").partition("\n")[0].split()))
    except FileNotFoundError:
        raise TranscriptError(f"text/{text}.txt is missing") from None
    except UnicodeDecodeError:
        raise TranscriptError(f"text/{text}.txt is not UTF-8") from None


def _read_list(path: Path) -> list[str]:
    clips = []
    for number, line in read_list(path):
        if not (match := _CLIP.search(line)):
            raise ValueError(
                f"{path}, line {number}: expected an id such as "
                f"s1/20170121/section_1_000.80_002.91, not {line!r}"
            )
        clips.append(_clip_id(match))
    return clips


def _find_clips(root: Path) -> dict[str, str]:
    """clip_id -> path relative to the root, of every .mp4 below `video`."""
    found: dict[str, str] = {}
    for path in sorted((root / "video").rglob("*.mp4")):
        relative = path.relative_to(root).as_posix()
        match = _CLIP.search(relative)
        if path.name.startswith(".") or not match:
            continue
        other = found.setdefault(_clip_id(match), relative)
        if other != relative:
            raise ValueError(f"{relative} and {other} are the same clip; remove one of them")
    return found


def _clip_id(match: re.Match) -> str:
    section = match["section"].removesuffix(".mp4").removesuffix(".txt").strip()
    return f"{match['speaker']}/{match['date']}/{section}"
