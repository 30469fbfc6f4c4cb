"""Common Voice: sentences read aloud by volunteers in many languages, as mp3.

Ardila et al., Common Voice: A Massively-Multilingual Speech Corpus, LREC 2020. Free to download at
https://commonvoice.mozilla.org/datasets; licence CC0. How many clips there are depends on release
and language, so no count is expected.

    cv-corpus-<release>/<language>/clips/common_voice_en_1.mp3
    cv-corpus-<release>/<language>/{train,dev,test,validated}.tsv    columns client_id, path,
                                                                     sentence and more

`dev` is the split val. `validated` holds all clips that listeners accepted; those in no other list
are train, but for clips of people who speak in dev or test, which are rejected. SynthVSR uses 2,243
hours of English; that these are the validated ones is our reading, the paper does not say.
"""

import os
from pathlib import Path

import pandas as pd

from visemix.corpora.sentences import Source, visible_folders
from visemix.corpora.utterances import Utterance, scan_utterances

SOURCE = Source("Common Voice", "https://commonvoice.mozilla.org/datasets", "CC0", {})
LISTS = {"train": "train", "dev": "val", "test": "test"}
MAX_SECONDS = 20.0  # SynthVSR drops longer ones
_COLUMNS = ("client_id", "path", "sentence")


def scan(
    root: str | os.PathLike,
    corpus: str = "common_voice",
    workers: int = 1,
    max_seconds: float | None = MAX_SECONDS,
    validated: bool = True,
) -> pd.DataFrame:
    """Manifest of speech of one language; `root` is its folder, which holds clips and train.tsv.

    clip_id is "<split>/<name of the mp3>". `validated`: whether to take clips that validated.tsv
    alone names. What is wrong with an utterance makes it a rejected row with a reason; so does a
    length above `max_seconds` (None: any). Clips that no list names (refused, or
    not yet judged) are not in the manifest.

    Raises FileNotFoundError for a missing folder or list, ValueError for a list without the
    columns.
    """
    root = Path(root)
    if not (root / "clips").is_dir():
        languages = [p.name for p in visible_folders(root) if is_root(p)] if root.is_dir() else []
        hint = f"; give one of its languages: {', '.join(languages)}" if languages else ""
        raise FileNotFoundError(
            f"{root / 'clips'}: no such folder{hint or f'; get it from {SOURCE.where}'}"
        )
    utterances, listed, held_out = [], set(), set()
    for name, split in LISTS.items():
        rows = _read_list(root / f"{name}.tsv")
        utterances += [_utterance(f"{name}.tsv", split, *row) for row in rows]
        listed |= {row["path"] for _, row in rows}
        held_out |= {row["client_id"] for _, row in rows if split != "train"}
    for number, row in _read_list(root / "validated.tsv") if validated else ():
        if row["path"] not in listed:
            complaint = "the speaker also speaks in dev or test" * (row["client_id"] in held_out)
            utterances.append(_utterance("validated.tsv", "train", number, row, complaint))
    return scan_utterances(root, corpus, utterances, max_seconds, workers)


def is_root(folder: Path) -> bool:
    """Whether a folder holds a language of Common Voice."""
    return (folder / "clips").is_dir() and (folder / "train.tsv").is_file()


def _read_list(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Pairs of a line's number and its columns; a line that is too short lacks some, as ''."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such list of clips; it comes with the corpus")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    names = lines[0].rstrip("\r").split("\t")
    if lacking := [column for column in _COLUMNS if column not in names]:
        raise ValueError(f"{path}: no column {', '.join(lacking)}; it has {', '.join(names)}")
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if line.strip():
            row = dict(zip(names, line.rstrip("\r").split("\t"), strict=False))
            rows.append((number, {column: row.get(column, "").strip() for column in _COLUMNS}))
    return rows


def _utterance(
    name: str, split: str, number: int, row: dict[str, str], complaint: str = ""
) -> Utterance:
    path = row["path"]
    file = path if path.endswith(".mp3") else f"{path}.mp3"  # the first releases leave it out
    if not path or "/" in path or "\\" in path or path.startswith("."):
        complaint = f"{name}, line {number}: {path!r} is no name of a file in clips"
        return Utterance(f"{split}/{name}-line{number}", split, "", complaint=complaint)
    text = " ".join(row["sentence"].split())
    clip_id = f"{split}/{file.removesuffix('.mp3')}"
    speaker = row["client_id"]
    return Utterance(clip_id, split, f"clips/{file}", text, speaker, complaint=complaint)
