"""LRW-1000 (CAS-VSR-W1k): 1,000 Mandarin words, 718,018 samples of more than 2,000 speakers.

Yang et al., LRW-1000: A Naturally-Distributed Large-Scale Benchmark for Lip Reading in the Wild,
FG 2019, arXiv 1810.06990. For academic research, after an agreement with the Visual Information
Processing and Learning group (VIPL): https://vipl.ict.ac.cn/resources/databases. Only the sum of
the splits is published, so a full count is checked on the sum.

    images/<clip>/1.jpg 2.jpg ...   25 pictures a second of a sentence, cut to the lips already
    info/{trn,val,tst}_1000.txt     a sample each line: <clip>,<characters>,<pinyin>,<start>,<end>

with times in seconds. A row of the manifest is one sample: `media` is the folder of its sentence,
`label` the pinyin (the class), `text` the characters. The pictures show mouths, not faces, so the
rule that finds faces and crops mouths has nothing to do here; how many pictures around the word
are shown changes results much (VIPL: 40 with the word in the middle), so state it with a number.
"""

import os
import re
from functools import partial
from math import isfinite, nan
from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import check_manifest, manifest_frame
from visemix.corpora.sentences import FPS, Source, read_list
from visemix.corpora.table import scan_chunks
from visemix.run.atomic import sha256_bytes

SOURCE = Source(
    "LRW-1000",
    "https://vipl.ict.ac.cn/resources/databases (images and info)",
    "academic research, under an agreement to be signed",
    {},
)
SAMPLES = 718_018
LISTS = {"train": "trn_1000.txt", "val": "val_1000.txt", "test": "tst_1000.txt"}


def scan(root: str | os.PathLike, corpus: str = "lrw1000", workers: int = 1) -> pd.DataFrame:
    """Manifest (with `text`) of the samples under `root`, sorted by clip_id.

    clip_id is "<split>/<clip>_<first>_<last picture of the word>_<pinyin>", `sha256` is that of the
    names and contents of the folder's pictures, times count from its first picture. Speakers are
    not known. What is wrong with a sample makes it a rejected row with a reason.

    Raises FileNotFoundError for a missing folder or list, ValueError for a broken line of a list or
    a sample listed twice.
    """
    root = Path(root)
    if not (root / "images").is_dir():
        raise FileNotFoundError(
            f"{root / 'images'}: no such folder; give the folder that holds images and info, from "
            f"{SOURCE.where}"
        )
    by_clip: dict[str, list[tuple]] = {}
    for split, name in LISTS.items():
        for sample in _read_list(root / "info" / name):
            by_clip.setdefault(sample[0], []).append((split, *sample))
    samples = [by_clip[clip] for clip in sorted(by_clip)]
    rows = scan_chunks(partial(_rows, root, corpus), samples, workers)
    manifest = manifest_frame(rows, text=True)
    manifest = manifest.sort_values("clip_id", ignore_index=True)
    if (twice := manifest["clip_id"].duplicated()).any():
        raise ValueError(f"{root / 'info'}: listed twice: {manifest['clip_id'][twice].iloc[0]}")
    check_manifest(manifest)
    return manifest


def _read_list(path: Path) -> list[tuple[str, str, str, float, float]]:
    samples = []
    for number, line in read_list(path):
        try:
            clip, characters, pinyin, start, end = (field.strip() for field in line.split(","))
            samples.append((clip, characters, pinyin, float(start), float(end)))
        except ValueError:
            raise ValueError(
                f"{path}, line {number}: expected 'clip,characters,pinyin,start,end', not {line!r}"
            ) from None
    return samples


def _rows(root: Path, corpus: str, samples: list[tuple]) -> list[tuple]:
    """Manifest rows of all samples of one sentence, whose folder is read once."""
    n_pictures, digest, trouble = _read_folder(root / "images" / samples[0][1])
    rows = []
    for split, clip, characters, pinyin, start, end in samples:
        reason = trouble or _wrong_times(start, end, n_pictures)
        if isfinite(start) and isfinite(end):
            pictures = f"{int(start * FPS) + 1}_{int(end * FPS) + 1}"
        else:
            pictures = f"{start}_{end}"
        times = (nan, nan) if reason else (start, min(end, n_pictures / FPS))
        rows.append(
            (f"{split}/{clip}_{pictures}_{pinyin.replace(' ', '-')}", corpus, split, pinyin)
            + (f"images/{clip}", n_pictures, FPS if n_pictures else 0.0, *times, "", digest)
            + ("rejected" if reason else "ok", reason, characters)
        )
    return rows


def _read_folder(folder: Path) -> tuple[int, str, str]:
    """Number of pictures, checksum, and what is wrong with the folder (or nothing)."""
    if not folder.is_dir():
        return 0, "", f"the folder images/{folder.name} is missing"
    names = [p.name for p in folder.iterdir() if re.fullmatch(r"\d+\.jpg", p.name)]
    names.sort(key=lambda name: int(name[:-4]))
    contents = [(name, (folder / name).read_bytes()) for name in names]
    facts = "".join(f"{name} {sha256_bytes(content)}\n" for name, content in contents)
    digest = sha256_bytes(facts.encode())
    if not names:
        return 0, digest, f"the folder images/{folder.name} holds no picture 1.jpg, 2.jpg, ..."
    for number, (name, content) in enumerate(contents, 1):
        if name != f"{number}.jpg":
            return len(names), digest, f"the picture {number}.jpg is missing"
        if not (content.startswith(b"\xff\xd8") and b"\xff\xd9" in content[-16:]):
            return len(names), digest, f"{name} is no JPEG, or cut short"
    return len(names), digest, ""


def _wrong_times(start: float, end: float, n_pictures: int) -> str:
    """What is wrong with a word's times (s); an end within a picture of the last one is fine."""
    if not 0 <= start < end:  # also refuses nan
        return f"the word is timed {start:g} to {end:g} s: not 0 <= start < end"
    if start >= n_pictures / FPS or end > (n_pictures + 1) / FPS:
        return f"the word is timed {start:g} to {end:g} s, but there are {n_pictures} pictures"
    return ""
