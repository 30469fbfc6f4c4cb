"""Writes crop sets (see `shards`): streamed to disk, resumable, the same bytes every time."""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import (
    CODEC,
    INDEX,
    INDEX_COLUMNS,
    MANIFEST,
    REJECT_COLUMNS,
    REJECTS,
    VERSION,
    digest,
    shard_name,
)
from visemix.run.atomic import atomic_path, sha256_file, write_json

CLIPS_PER_SHARD = 2048
FRAME_SIZE = (96, 96)
_HEADER_BYTES = 128


@dataclass(frozen=True)
class CropRecord:
    """What becomes of one clip: its crops, or the reason why there are none."""

    clip_id: str
    label: str
    crops: np.ndarray | None  # (T, H, W) uint8; None for a rejected clip
    quality: dict[str, float] = field(default_factory=dict)  # the same keys for all clips
    speaker: str = ""
    source: str = ""  # clip_id of the clip that this one was made from
    word_start_s: float = math.nan
    word_end_s: float = math.nan
    reason: str = ""  # of a rejected clip


def write_crops(
    folder: str | os.PathLike,
    records: Iterable[CropRecord],
    parameters: dict,
    clips_per_shard: int = CLIPS_PER_SHARD,
    frame_size: tuple[int, int] = FRAME_SIZE,
) -> None:
    """Write a crop set from records that come in the order of their clip_id.

    `parameters` (JSON values) are kept in manifest.json. Only the clip in hand is in memory.
    Raises ValueError for records out of order or of another shape. Use build_crops where making a
    record is expensive: it keeps finished shards.
    """
    with _unfinished(Path(folder)) as folder:
        records, number = iter(records), 0
        while (first := next(records, None)) is not None:
            chunk = chain([first], islice(records, clips_per_shard - 1))
            _write_shard(folder, number, chunk, frame_size, inputs="")
            number += 1
        _finish(folder, number, parameters, frame_size)


def build_crops(
    folder: str | os.PathLike,
    plan: pd.DataFrame,
    make: Callable[[pd.DataFrame], Iterator[CropRecord]],
    parameters: dict,
    clips_per_shard: int = CLIPS_PER_SHARD,
    frame_size: tuple[int, int] = FRAME_SIZE,
    part: tuple[int, int] | None = None,
) -> None:
    """Write the crop set of the clips in `plan`, continuing where an earlier call was stopped.

    `plan` has one row a clip: a column clip_id, and whatever else decides its crops (a checksum of
    the media, above all). Shard k holds the clips k * clips_per_shard and on, by sorted clip_id;
    `make(rows)` is called once with the rows of all shards to be made and yields their records in
    that order. A shard is kept if it was made from the same rows and parameters and its checksum is
    right. With part = (i, n) only every n-th shard from i on is made and the set stays unfinished:
    n jobs may do so side by side, then a call without `part` finishes it. Raises ValueError for
    repeated clip_ids and for records that do not follow the rows.
    """
    plan = plan.sort_values("clip_id", ignore_index=True)
    if plan["clip_id"].duplicated().any():
        raise ValueError(f"clip_id {plan['clip_id'][plan['clip_id'].duplicated()].iloc[0]} repeats")
    with _unfinished(Path(folder), alone=part is None) as folder:
        shards = [plan.iloc[i : i + clips_per_shard] for i in range(0, len(plan), clips_per_shard)]
        inputs = [
            digest([VERSION, frame_size, parameters, rows.to_csv(index=False)]) for rows in shards
        ]
        first, step = part or (0, 1)
        wanted = range(first, len(shards), step)
        todo = [n for n in wanted if not _is_made(folder, n, inputs[n])]
        if todo:
            rows = pd.concat([shards[n] for n in todo], ignore_index=True)
            records = _in_step(rows["clip_id"], make(rows))
            for n in todo:
                _write_shard(folder, n, islice(records, len(shards[n])), frame_size, inputs[n])
            next(records, None)  # raises if there are more records than rows
        if part is None:
            _finish(folder, len(shards), parameters, frame_size)


@contextmanager
def _unfinished(folder: Path, alone: bool = True) -> Iterator[Path]:
    """The folder, marked as not finished; if `alone`, cleared of what a killed writer left."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for left_over in folder.glob(".*.partial*") if alone else ():
        left_over.unlink()
    yield folder


def _in_step(clip_ids: Iterable[str], records: Iterator[CropRecord]) -> Iterator[CropRecord]:
    """The records, each checked to be of the clip whose turn it is."""
    for clip_id, record in zip(clip_ids, records, strict=True):
        if record.clip_id != clip_id:
            raise ValueError(f"a record of {record.clip_id} came in the place of {clip_id}")
        yield record


def _sidecar(folder: Path, number: int) -> Path:
    return (folder / shard_name(number)).with_suffix(".json")


def _is_made(folder: Path, number: int, inputs: str) -> bool:
    shard, sidecar = folder / shard_name(number), _sidecar(folder, number)
    if not (shard.is_file() and sidecar.is_file()):
        return False
    known = json.loads(sidecar.read_text())
    return known["inputs"] == inputs and known["sha256"] == sha256_file(shard)


def _write_shard(folder: Path, number: int, records, frame_size, inputs: str) -> None:
    """Stream the records into shard `number`; then its sidecar, which makes it valid."""
    path, sidecar = folder / shard_name(number), _sidecar(folder, number)
    sidecar.unlink(missing_ok=True)
    clips, rejects, frames = [], [], 0
    last = ""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(_header(0, frame_size))
        for record in records:
            if record.clip_id <= last:
                raise ValueError(f"clip {record.clip_id} came after {last}; sort by clip_id")
            last = record.clip_id
            if record.crops is None:
                rejects.append(_reject_row(record))
                continue
            crops = _checked(record, frame_size)
            clips.append(_index_row(record, number, frames, len(crops)))
            file.write(crops.data)
            frames += len(crops)
        file.seek(0)
        file.write(_header(frames, frame_size))
        file.flush()
    entry = {"inputs": inputs, "file": path.name, "frames": frames, "bytes": path.stat().st_size}
    entry |= {"data_offset": _HEADER_BYTES, "sha256": sha256_file(path)}
    write_json(sidecar, entry | {"clips": clips, "rejects": rejects})


def _header(frames: int, frame_size: tuple[int, int]) -> bytes:
    """The npy header of an array (frames, H, W) uint8, padded to 128 bytes whatever `frames` is."""
    shape = (frames, *map(int, frame_size))
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    body = text.ljust(_HEADER_BYTES - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body.encode("latin1")


def _checked(record: CropRecord, frame_size) -> np.ndarray:
    crops = np.ascontiguousarray(record.crops)
    if crops.dtype != np.uint8 or crops.ndim != 3 or crops.shape[1:] != tuple(frame_size):
        raise ValueError(
            f"crops of {record.clip_id} must be uint8 (T, {frame_size[0]}, {frame_size[1]}), not "
            f"{crops.dtype} {crops.shape}"
        )
    if not len(crops):
        raise ValueError(f"{record.clip_id} has no frame; give a reason and crops=None instead")
    return crops


def _index_row(record: CropRecord, shard: int, start: int, length: int) -> dict:
    row = {"clip_id": record.clip_id, "shard": shard, "start": start, "length": length}
    row |= {"label": record.label, "speaker": record.speaker, "source": record.source}
    row |= {k: _number(getattr(record, k)) for k in ("word_start_s", "word_end_s")}
    return row | {name: _number(value) for name, value in record.quality.items()}


def _number(value):
    """A number that JSON can hold: plain int or float, None for nan."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


def _reject_row(record: CropRecord) -> dict:
    if not record.reason:
        raise ValueError(f"{record.clip_id} has neither crops nor a reason")
    return {name: getattr(record, name) for name in REJECT_COLUMNS}


def _finish(folder: Path, count: int, parameters: dict, frame_size) -> None:
    """Write the index, the rejects and, last of all, the manifest; remove shards of older sets."""
    for path in folder.glob("shard-*"):
        match = re.fullmatch(r"shard-(\d{5})\.(npy|json)", path.name)
        if match and int(match[1]) >= count:
            path.unlink()
    clips, rejects, shards = [], [], []
    for number in range(count):
        entry = json.loads(_sidecar(folder, number).read_text())
        clips += entry.pop("clips")
        rejects += entry.pop("rejects")
        del entry["inputs"]
        shards.append(entry)
    for rows, columns, name in ((clips, INDEX_COLUMNS, INDEX), (rejects, REJECT_COLUMNS, REJECTS)):
        with atomic_path(folder / name) as temporary:
            _table(rows, columns).to_parquet(temporary, index=False)
    manifest = {"version": VERSION, "codec": CODEC, "frame_size": list(frame_size)}
    manifest |= {"clips": len(clips), "rejected": len(rejects), "parameters": parameters}
    manifest |= {"index_sha256": sha256_file(folder / INDEX), "shards": shards}
    write_json(folder / MANIFEST, manifest)


def _table(rows: list[dict], columns: dict[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns) if not rows else None)
    return frame.astype(columns)
