"""What corpora lie under a folder, and how much of them: the table of `visemix corpora`."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from visemix.corpora import cmlr, grid, lrs, lrw, lrw1000
from visemix.corpora.manifest import SPLITS
from visemix.corpora.sentences import Source


@dataclass(frozen=True)
class _Kind:
    """A corpus, how its root is known, and its reader."""

    source: Source
    is_root: Callable[[Path], bool]
    scan: Callable[..., pd.DataFrame]
    expected_sum: int = 0  # where only the sum of the splits is published


def _is_lrs2(root: Path) -> bool:
    return (root / "main").is_dir() and any(
        (folder / "train.txt").is_file() for folder in (root, root.parent)
    )


def _is_grid(root: Path) -> bool:
    """Whether there are .mpg files in the folder or in a folder of a speaker in it."""
    return any(root.glob("*.mpg")) or any(root.glob("s[0-9]*/**/*.mpg"))


_WORD_CLIPS = Source("word clips", "visemix.corpora.words", "that of the sentences", {})
_KINDS = (
    _Kind(_WORD_CLIPS, lambda r: _has(r, "lipread_mp4", "cuts.csv"), lrw.scan),
    _Kind(lrw.SOURCE, lambda r: _has(r, "lipread_mp4"), lrw.scan),
    _Kind(lrs.SOURCES["lrs3"], lambda r: _has(r, "trainval"), partial(lrs.scan, corpus="lrs3")),
    _Kind(lrs.SOURCES["lrs2"], _is_lrs2, partial(lrs.scan, corpus="lrs2")),
    _Kind(cmlr.SOURCE, lambda r: _has(r, "video", "train.csv"), cmlr.scan),
    _Kind(
        lrw1000.SOURCE,
        lambda r: _has(r, "images", "info/trn_1000.txt"),
        lrw1000.scan,
        lrw1000.SAMPLES,
    ),
    _Kind(grid.SOURCE, _is_grid, grid.scan),
)


def corpora_table(roots: Iterable[str | os.PathLike], workers: int = 1) -> pd.DataFrame:
    """A row a split of every corpus that a root is, or that a folder in it is.

    Columns: corpus, root, split, clips (all that are there or listed), usable (not rejected),
    expected (as published, empty where not), missing (expected but not usable), remedy. All clips
    are scanned, which takes hours for a large corpus. A corpus that cannot be scanned has one row,
    whose remedy is the message. Raises FileNotFoundError for a root that is no folder.
    """
    rows = []
    for root in map(Path, roots):
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder; give the root of corpora")
        for kind, folder in _find(root):
            rows += _rows(kind, folder, workers)
    return pd.DataFrame(rows, columns=list(_row("", Path(), "", 0, 0)))


def _has(root: Path, *names: str) -> bool:
    return all((root / name).exists() for name in names)


def _find(root: Path) -> list[tuple[_Kind, Path]]:
    """The corpus whose root this is, or else those of the folders in it."""
    if kind := next((k for k in _KINDS if k.is_root(root)), None):
        return [(kind, root)]
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    found = [(next((k for k in _KINDS if k.is_root(f)), None), f) for f in folders]
    return [(kind, folder) for kind, folder in found if kind is not None]


def _rows(kind: _Kind, folder: Path, workers: int) -> list[dict]:
    try:
        manifest = kind.scan(folder, workers=workers)
    except (ValueError, OSError) as error:
        return [_row(kind.source.title, folder, "", 0, 0, remedy=str(error))]
    usable = manifest[manifest["status"] == "ok"]["split"].value_counts()
    there = manifest["split"].value_counts()
    where = f"get it from {kind.source.where}"
    rows = []
    for split in SPLITS:
        expected = kind.source.expected.get(split)
        counts = int(there.get(split, 0)), int(usable.get(split, 0))
        if expected or counts[0]:
            rows.append(_row(kind.source.title, folder, split, *counts, expected, where))
    if kind.expected_sum:
        sums = len(manifest), int(usable.sum())
        rows.append(_row(kind.source.title, folder, "all", *sums, kind.expected_sum, where))
    return rows


def _row(corpus, root, split, clips, usable, expected=None, remedy="") -> dict:
    missing = max(expected - usable, 0) if expected else None
    known = remedy if missing or not split else ""
    return {
        "corpus": corpus, "root": str(root), "split": split, "clips": clips, "usable": usable,
        "expected": "" if expected is None else expected,
        "missing": "" if missing is None else missing, "remedy": known,
    }  # fmt: skip
