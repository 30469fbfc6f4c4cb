"""The store of mouth crops: raw uint8 shards of whole clips, an index, and exact reading.

A folder holds `shard-00000.npy` (frames of up to 2,048 clips, one after the other), a sidecar
`shard-00000.json` per shard, `index.parquet`, `rejects.parquet`, and `manifest.json`, which is
written last: a folder without it is not finished.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.run.atomic import sha256_file

VERSION = 2  # 1 has no `source`, and rejects have no speaker: those read as ""
CODEC = "raw"
MANIFEST, INDEX, REJECTS = "manifest.json", "index.parquet", "rejects.parquet"
# Columns that every index has; the quality columns follow them.
INDEX_COLUMNS = {
    "clip_id": "str",
    "shard": "int32",
    "start": "int64",  # first frame within the shard
    "length": "int32",  # frames
    "label": "str",
    "speaker": "str",
    "source": "str",  # of a clip made from another one: that clip's clip_id, else ""
    "word_start_s": "float64",
    "word_end_s": "float64",
}
REJECT_COLUMNS = dict.fromkeys(("clip_id", "label", "speaker", "source", "reason"), "str")


class ShardError(ValueError):
    """A crop set is unfinished, damaged or of another kind; the message says what to do."""


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:05d}.npy"


@dataclass(frozen=True)
class CropSet:
    """An open crop set. Row numbers are positions in `index`; use it as a context manager."""

    folder: Path
    index: pd.DataFrame  # INDEX_COLUMNS and quality columns, sorted by clip_id
    manifest: dict
    _offsets: np.ndarray = field(repr=False)  # (clips,) byte in its shard at which a clip starts
    _files: dict[int, int] = field(default_factory=dict, repr=False)  # shard -> file descriptor

    def __len__(self) -> int:
        return len(self.index)

    def __enter__(self) -> "CropSet":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_files": {}}  # descriptors mean nothing to another process

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of a crop."""
        height, width = self.manifest["frame_size"]
        return height, width

    def read(self, rows: Sequence[int] | np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Crops of clips, uint8 (B, T, H, W) in the order of `rows`.

        `rows`: positions in the index, in any order, repeats allowed; the clips must have the same
        number of frames T. `out`: a contiguous uint8 array of that shape to read into, made anew
        where it is None. Raises ValueError for unequal lengths or another `out`, IndexError for
        rows that do not exist, ShardError for a file that has become shorter.
        """
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()}..{rows.max()} of a set of {len(self)} clips")
        lengths = np.unique(self.index["length"].to_numpy()[rows])
        if len(lengths) > 1:
            raise ValueError(f"clips of {lengths.tolist()} frames cannot be one batch")
        shape = (len(rows), int(lengths[0]) if len(lengths) else 0, *self.frame_size)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be contiguous uint8 {shape}, not {out.dtype} {out.shape}")
        shards, offsets = self.index["shard"].to_numpy()[rows], self._offsets[rows]
        for k in np.lexsort((offsets, shards)):  # along the files, which spares a disk's head
            self._read_one(int(shards[k]), int(offsets[k]), out[k])
        return out

    def close(self) -> None:
        """Close the files; a later read opens them again."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _read_one(self, shard: int, offset: int, out: np.ndarray) -> None:
        if shard not in self._files:
            self._files[shard] = os.open(self.folder / shard_name(shard), os.O_RDONLY)
        if os.preadv(self._files[shard], [out.data], offset) != out.nbytes:
            raise ShardError(
                f"{self.folder / shard_name(shard)}: cut short while in use; {_REMEDY}"
            )


_REMEDY = (
    "delete manifest.json beside it and run again: only shards that are not as they were made "
    "are made anew"
)


def open_crops(folder: str | os.PathLike) -> CropSet:
    """Open a crop set after checking its manifest, its index and the size of every shard.

    The pixels themselves are not hashed: see verify_crops. Raises ShardError.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    index_path = folder / INDEX
    if not index_path.is_file() or sha256_file(index_path) != manifest["index_sha256"]:
        raise ShardError(f"{index_path}: missing or changed since it was written; {_REMEDY}")
    index = _with_columns(pd.read_parquet(index_path), INDEX_COLUMNS)
    frame_bytes = int(np.prod(manifest["frame_size"]))
    data_starts = np.array([_check_shard(folder, entry) for entry in manifest["shards"]], np.int64)
    offsets = index["start"].to_numpy(np.int64) * frame_bytes
    if len(index):
        offsets += data_starts[index["shard"].to_numpy()]
    return CropSet(folder, index, manifest, offsets)


def read_rejects(folder: str | os.PathLike) -> pd.DataFrame:
    """The clips that could not be cropped, columns REJECT_COLUMNS: they keep who speaks."""
    return _with_columns(pd.read_parquet(Path(folder) / REJECTS), REJECT_COLUMNS)[
        list(REJECT_COLUMNS)
    ]


def _with_columns(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Rows of a set of version 1 with the texts that it lacks, empty."""
    lacking = [name for name in columns if name not in rows]
    return rows.assign(**dict.fromkeys(lacking, "")).astype(dict.fromkeys(lacking, "str"))


def verify_crops(folder: str | os.PathLike) -> None:
    """Read all of a crop set and compare it with its checksums. Raises ShardError.

    Before a training or an evaluation that is time well spent: it reads a set once, they read it
    often, and what they would make of damaged or swapped shards looks like any other result.
    """
    open_crops(folder).close()
    for entry in _read_manifest(Path(folder))["shards"]:
        path = Path(folder) / entry["file"]
        if (found := sha256_file(path)) != entry["sha256"]:
            raise ShardError(
                f"{path}: its sha256 is {found}, the manifest says {entry['sha256']}; {_REMEDY}"
            )


def digest(value) -> str:
    """sha256 of a value's JSON form, keys sorted."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    if not path.is_file():
        raise ShardError(f"{path} is missing: the crop set is not finished; re-run it")
    try:
        manifest = json.loads(path.read_text())
        version, codec = manifest["version"], manifest["codec"]
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{path}: not the manifest of a crop set ({error!r}); {_REMEDY}") from None
    if version not in (1, VERSION) or codec != CODEC:
        raise ShardError(
            f"{path}: version {version} with codec {codec!r}, this program reads 1 and {VERSION} "
            f"with {CODEC!r}; re-run the crop set"
        )
    return manifest


def _check_shard(folder: Path, entry: dict) -> int:
    """Byte at which the frames of a shard start, after checking its header and size."""
    path = folder / entry["file"]
    if not path.is_file():
        raise ShardError(f"{path}: missing; {_REMEDY}")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ShardError(f"{path}: has {size} bytes instead of {entry['bytes']}; {_REMEDY}")
    return entry["data_offset"]
