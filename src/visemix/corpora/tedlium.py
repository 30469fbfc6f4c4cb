"""TED-LIUM 3: 452 hours of English TED talks, 16 kHz, with aligned transcripts.

Hernandez, Nguyen, Ghannay, Tomashenko & Estève, TED-LIUM 3, SPECOM 2018, arXiv 1805.04699. Free to
download: https://www.openslr.org/51; licence CC BY-NC-ND 3.0, talks and text are the property of
TED Conferences LLC. Expected in the legacy partition: 2,351 talks in train, 8 in val, 11 in test.

    legacy/{train,dev,test}/sph/<talk>.sph     NIST SPHERE, one channel
    legacy/{train,dev,test}/stm/<talk>.stm     an utterance each line:
        <talk> 1 <speaker> <start> <end> <labels> words ...      times in seconds

A line that says ignore_time_segment_in_scoring, and a broken one, is a rejected row. Of the words,
marks such as <sil> and {NOISE} and variants of pronunciation, as in "a(2)", are taken off, and
endings such as "'s" are joined to the word before; <unk>, a word that the aligner did not know,
stays. The folder `data` holds the same talks and is not read, nor is `speaker-adaptation`.
"""

import os
import re
from math import isfinite, nan
from pathlib import Path

import pandas as pd

from visemix.corpora.sentences import Source
from visemix.corpora.utterances import Utterance, scan_utterances

# the numbers are talks, not utterances: those are what the corpus publishes
SOURCE = Source(
    "TED-LIUM 3",
    "https://www.openslr.org/51 (TEDLIUM_release-3.tgz)",
    "CC BY-NC-ND 3.0; talks and text are the property of TED Conferences LLC",
    {"train": 2_351, "val": 8, "test": 11},
)
FOLDERS = {"train": "train", "dev": "val", "test": "test"}
MAX_SECONDS = 20.0  # SynthVSR drops longer ones
_IGNORE = "ignore_time_segment_in_scoring"
_MARKS = re.compile(r"<(?!unk>)[^>\s]*>|\{[^}\s]*\}|\[[^\]\s]*\]|\(\d+\)")


def scan(
    root: str | os.PathLike,
    corpus: str = "tedlium",
    workers: int = 1,
    max_seconds: float | None = MAX_SECONDS,
) -> pd.DataFrame:
    """Manifest of speech of the legacy partition under `root`, the folder that holds `legacy`.

    clip_id is "<split>/<talk>-<start>-<end>", times in hundredths of a second. What is wrong with
    an utterance makes it a rejected row with a reason; so does a length above `max_seconds` (None:
    any), and a talk without its .stm or .sph. Raises FileNotFoundError where there is no `legacy`.
    """
    root = Path(root)
    folders = [name for name in FOLDERS if (root / "legacy" / name).is_dir()]
    if not folders:
        raise FileNotFoundError(
            f"{root / 'legacy'}: no folder train, dev or test in it; give the folder that holds "
            f"legacy, from {SOURCE.where}"
        )
    utterances = []
    for name in folders:
        folder = root / "legacy" / name
        talks = {p.stem for kind in ("sph", "stm") for p in (folder / kind).glob(f"*.{kind}")}
        for talk in sorted(talk for talk in talks if not talk.startswith(".")):
            utterances += _talk(folder, talk, FOLDERS[name])
    return scan_utterances(root, corpus, utterances, max_seconds, workers)


def _talk(folder: Path, talk: str, split: str) -> list[Utterance]:
    media = f"legacy/{folder.name}/sph/{talk}.sph"
    path = folder / "stm" / f"{talk}.stm"
    if not path.is_file():
        return [Utterance(f"{split}/{talk}", split, media, complaint=f"{talk}.stm is missing")]
    utterances = []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith(";;"):
            utterances.append(_utterance(f"{talk}.stm", number, line.split(), split, media))
    if not utterances:
        complaint = f"{talk}.stm names no utterance"
        return [Utterance(f"{split}/{talk}", split, media, complaint=complaint)]
    return utterances


def _utterance(name: str, number: int, fields: list[str], split: str, media: str) -> Utterance:
    """The utterance of one line of the .stm `name`."""
    talk = name.removesuffix(".stm")
    try:
        said, _, speaker = fields[:3]
        start, end = map(float, fields[3:5])
    except ValueError:
        start = end = nan
    if not (isfinite(start) and isfinite(end) and said == talk):
        complaint = (
            f"{name}, line {number}: expected '{talk} 1 speaker start end <labels> words', not "
            f"{' '.join(fields)[:60]!r}"
        )
        return Utterance(f"{split}/{talk}-line{number}", split, media, complaint=complaint)
    words = fields[6:] if len(fields) > 5 and fields[5].startswith("<") else fields[5:]
    clip_id = f"{split}/{talk}-{round(start * 100):07d}-{round(end * 100):07d}"
    ignored = f"{name} says {_IGNORE}" if _IGNORE in words else ""
    return Utterance(clip_id, split, media, clean(words), speaker, start, end, ignored)


def clean(words: list[str]) -> str:
    """The words without marks and with endings joined: clean(["it", "'s", "<sil>"]) is "it's"."""
    text = " ".join(_MARKS.sub(" ", " ".join(words)).split())
    return re.sub(r"(?<=\w) (?='\w)", "", text)
