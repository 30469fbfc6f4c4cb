"""What corpora lie under a folder, and how much of them: the table of `visemix corpora`."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd

from visemix.corpora import (
    cmlr,
    common_voice,
    grid,
    librispeech,
    lrs,
    lrw,
    lrw1000,
    portraits,
    tedlium,
)
from visemix.corpora.manifest import SPLITS
from visemix.corpora.portrait_sources import PICTURE_TYPES, SOURCES, find_celeba
from visemix.corpora.sentences import Source


@dataclass(frozen=True)
class _Kind:
    """A corpus, how its root is known, and its reader."""

    source: Source
    is_root: Callable[[Path], bool]
    scan: Callable[..., pd.DataFrame]
    expected_sum: int = 0  # where only the sum of the splits is published
    by_file: bool = False  # whether files are counted, not rows: TED-LIUM publishes talks


def _is_lrs2(root: Path) -> bool:
    return (root / "main").is_dir() and any(
        (folder / "train.txt").is_file() for folder in (root, root.parent)
    )


def _is_grid(root: Path) -> bool:
    """Whether there are .mpg files in the folder or in a folder of a speaker in it."""
    return any(root.glob("*.mpg")) or any(root.glob("s[0-9]*/**/*.mpg"))


def _is_vggface2(root: Path) -> bool:
    return any(root.glob("train/n[0-9]*")) or any(root.glob("test/n[0-9]*"))


def _is_vggface(root: Path) -> bool:
    """Whether there are lists of addresses of pictures, one a person, in the folder files."""
    lists = root.glob("files/*.txt")
    return any(b"://" in path.read_bytes()[:200] for path in islice(lists, 1))


def _holds_pictures(root: Path) -> bool:
    return any(path.suffix.lower() in PICTURE_TYPES for path in root.iterdir())


def _portraits(corpus: str, is_root: Callable[[Path], bool]) -> _Kind:
    return _Kind(SOURCES[corpus], is_root, partial(portraits.scan, corpus=corpus))


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
    _Kind(librispeech.SOURCE, lambda r: any(_has(r, p) for p in librispeech.PARTS),
          librispeech.scan),
    _Kind(tedlium.SOURCE, lambda r: any(r.glob("legacy/*/stm")), tedlium.scan, by_file=True),
    _Kind(common_voice.SOURCE, common_voice.is_root, common_voice.scan),
    _portraits("ffhq", lambda r: _has(r, "images1024x1024") or _has(r, "thumbnails128x128")),
    _portraits("celeba", lambda r: find_celeba(r, "list_eval_partition.txt") is not None),
    _portraits("vggface2", _is_vggface2),
    _portraits("vggface", _is_vggface),
)  # fmt: skip
_PICTURES = _portraits("folder", _holds_pictures)


def corpora_table(roots: Iterable[str | os.PathLike], workers: int = 1) -> pd.DataFrame:
    """A row a split of every corpus that a root is, or that a folder in it is.

    Columns: corpus, root, split ("all" where there are no splits), clips (all that are there or
    listed; of portraits pictures, of speech utterances, of TED-LIUM talks), usable (not rejected),
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
    """The corpus whose root this is, or else those of the folders in it.

    A folder with pictures may hold anything: it counts as portraits where nothing else is found.
    """
    if kind := _kind(root):
        return [(kind, root)]
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    kinds = [(_kind(folder), folder) for folder in folders]
    if _holds_pictures(root) and not any(kind for kind, _ in kinds):
        return [(_PICTURES, root)]
    return [(kind or _PICTURES, f) for kind, f in kinds if kind or _holds_pictures(f)]


def _kind(folder: Path) -> _Kind | None:
    return next((kind for kind in _KINDS if kind.is_root(folder)), None)


def _rows(kind: _Kind, folder: Path, workers: int) -> list[dict]:
    try:
        manifest = kind.scan(folder, workers=workers)
    except (ValueError, OSError) as error:
        return [_row(kind.source.title, folder, "", 0, 0, remedy=str(error))]
    if kind.by_file:
        manifest = manifest.sort_values("status").drop_duplicates("media")  # "ok" comes first
    usable = manifest[manifest["status"] == "ok"]["split"].value_counts()
    there = manifest["split"].value_counts()
    where = f"get it from {kind.source.where}"
    rows = []
    for split in (*SPLITS, ""):
        expected = kind.source.expected.get(split)
        counts = int(there.get(split, 0)), int(usable.get(split, 0))
        if expected or counts[0]:
            name = split or "all"
            rows.append(_row(kind.source.title, folder, name, *counts, expected, where))
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
