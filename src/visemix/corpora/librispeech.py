"""LibriSpeech: about 1,000 hours of read English, 16 kHz, from audio books of LibriVox.

Panayotov, Chen, Povey & Khudanpur, LibriSpeech: an ASR corpus based on public domain audio books,
ICASSP 2015. Free to download: https://www.openslr.org/12 (`train-clean-100.tar.gz` and so on);
licence CC BY 4.0. Expected: train 281,241 utterances (28,539 + 104,014 + 148,688), val 5,567
(2,703 + 2,864), test 5,559 (2,620 + 2,939).

    train-clean-100/103/1240/103-1240-0000.flac    <part>/<speaker>/<chapter>/...
    train-clean-100/103/1240/103-1240.trans.txt    a line '103-1240-0000 CHAPTER ONE ...' each

Parts called dev-* are the split val. SynthVSR cuts utterances at silences into pieces below 6 s
(944 hours); that is not done here, where `max_seconds` can only reject long ones.
"""

import os
import re
from pathlib import Path

import pandas as pd

from visemix.corpora.sentences import Source, visible_folders
from visemix.corpora.utterances import Utterance, scan_utterances

SOURCE = Source(
    "LibriSpeech",
    "https://www.openslr.org/12 (train-*.tar.gz, dev-*.tar.gz, test-*.tar.gz)",
    "CC BY 4.0",
    {"train": 281_241, "val": 5_567, "test": 5_559},
)
PARTS = {
    f"{name}-{kind}": split
    for name, split, kinds in (
        ("train", "train", ("clean-100", "clean-360", "other-500")),
        ("dev", "val", ("clean", "other")),
        ("test", "test", ("clean", "other")),
    )
    for kind in kinds
}


def scan(
    root: str | os.PathLike,
    corpus: str = "librispeech",
    workers: int = 1,
    max_seconds: float | None = None,
) -> pd.DataFrame:
    """Manifest of speech of the parts under `root`, the folder that holds train-clean-100 etc.

    clip_id is "<part>/<utterance>". What is wrong with an utterance makes it a rejected row with a
    reason; so do a sound without a transcript, a transcript without a sound, and a length above
    `max_seconds`. Raises FileNotFoundError where there is no part.
    """
    root = Path(root)
    parts = [part for part in PARTS if (root / part).is_dir()]
    if not parts:
        raise FileNotFoundError(
            f"{root}: none of the folders {', '.join(PARTS)}; give the folder that holds them, "
            f"from {SOURCE.where}"
        )
    utterances = [
        utterance
        for part in parts
        for speaker in visible_folders(root / part)
        for chapter in visible_folders(speaker)
        for utterance in _chapter(chapter, part)
    ]
    return scan_utterances(root, corpus, utterances, max_seconds, workers)


def _chapter(folder: Path, part: str) -> list[Utterance]:
    """The utterances of one chapter: all that have a sound, a transcript, or both."""
    speaker, chapter = folder.parent.name, folder.name
    texts = _read_transcripts(folder / f"{speaker}-{chapter}.trans.txt")
    spoken = sorted(p.stem for p in folder.glob("*.flac") if not p.name.startswith("."))
    named = {name for name, _ in texts}
    lines = [*texts, *((name, None) for name in spoken if name not in named)]
    utterances = []
    for name, text in lines:
        complaint = "" if text is not None else f"{speaker}-{chapter}.trans.txt does not name it"
        media = f"{part}/{speaker}/{chapter}/{name}.flac"
        if not re.fullmatch(rf"{re.escape(speaker)}-{re.escape(chapter)}-\d+", name):
            complaint = f"the name {name!r} is not {speaker}-{chapter}- and a number"
            media = media if name in spoken else ""
        clip_id = f"{part}/{name}"
        utterances.append(
            Utterance(clip_id, PARTS[part], media, text or "", speaker, complaint=complaint)
        )
    return utterances


def _read_transcripts(path: Path) -> list[tuple[str, str]]:
    """Pairs of an utterance's name and its words, from a .trans.txt, if it is there."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    fields = [line.split() for line in lines if line.strip()]
    return [(name, " ".join(words)) for name, *words in fields]
