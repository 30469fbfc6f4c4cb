"""Mouth crops and the sounds that belong to them: what trained generators learn from.

The sounds of a split are one file, `sounds.npy`: int16 samples, 16 kHz mono, clip after clip,
640 for each frame. `index.parquet` beside it (written last) says where each clip's samples are,
`rejects.parquet` which clips have none, and why.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import CropSet, open_crops
from visemix.faces.alignment import FIXED_EYE_TO_MOUTH
from visemix.media import FPS, SAMPLES_PER_FRAME, MediaError, read_clip
from visemix.run.atomic import atomic_path, sha256_file
from visemix.run.processes import ordered_map

SOUNDS, INDEX, REJECTS = "sounds.npy", "index.parquet", "rejects.parquet"
# start and length in samples; sha256 of the media file
INDEX_COLUMNS = {"clip_id": "str", "start": "int64", "length": "int64", "sha256": "str"}
REJECT_COLUMNS = {"clip_id": "str", "reason": "str"}


@dataclass(frozen=True)
class PairedClips:
    """The clips that have both crops and sound; rows are positions 0..len-1, by clip_id."""

    crop_set: CropSet
    samples: np.ndarray  # (all,) int16, mapped from the file
    table: pd.DataFrame  # clip_id, label, speaker, crop_row, start, length
    digests: dict[str, str]  # sha256 of the crop set's manifest and of the sounds' index

    def __len__(self) -> int:
        return len(self.table)

    @property
    def clip_ids(self) -> list[str]:
        return self.table["clip_id"].tolist()

    @property
    def labels(self) -> list[str]:
        return self.table["label"].tolist()

    @property
    def speakers(self) -> list[str]:
        return self.table["speaker"].tolist()

    @property
    def eye_to_mouth(self) -> float:
        """Crop px between eyes and mouth in these crops, see faces.alignment."""
        if self.alignment == "fixed":
            return FIXED_EYE_TO_MOUTH
        return float(self.crop_set.manifest["parameters"]["eye_to_mouth"])

    @property
    def alignment(self) -> str:
        """How these crops were cut: 'retinaface' or 'fixed', see faces.crops.crop_clip."""
        return self.crop_set.manifest["parameters"].get("alignment", "retinaface")

    def crops(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Crops (n, T, 96, 96) uint8. ValueError for clips of unequal length."""
        return self.crop_set.read(self.table["crop_row"].to_numpy()[np.asarray(rows, np.int64)])

    def sounds(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Sounds (n, T * 640) int16, 16 kHz mono, each starting with its clip's first frame.

        Raises ValueError for clips of unequal length.
        """
        rows = np.asarray(rows, np.int64)
        starts, lengths = self.table["start"].to_numpy()[rows], self.table["length"].to_numpy()
        length = np.unique(lengths[rows])
        if len(length) > 1:
            raise ValueError(f"sounds of {length.tolist()} samples cannot be one batch")
        within = np.arange(int(length[0]) if len(rows) else 0)
        return np.array(self.samples[starts[:, None] + within])


def open_paired(crops_folder: str | PathLike, sounds_folder: str | PathLike) -> PairedClips:
    """Open a crop set beside the sounds of its split.

    Raises FileNotFoundError where the sounds are missing, ShardError (see clips.shards) for the
    crops, ValueError where they do not belong together.
    """
    sounds_folder, crop_set = Path(sounds_folder), open_crops(crops_folder)
    index_path = sounds_folder / INDEX
    if not index_path.is_file():
        raise FileNotFoundError(f"{index_path}: no such file; make the sounds of the split first")
    index = pd.read_parquet(index_path)
    samples = np.load(sounds_folder / SOUNDS, mmap_mode="r")
    if len(samples) != index["length"].sum():
        raise ValueError(
            f"{sounds_folder / SOUNDS}: {len(samples)} samples, the index says "
            f"{index['length'].sum()}; delete the folder and make the sounds again"
        )
    table = crop_set.index[["clip_id", "label", "speaker"]].assign(
        crop_row=np.arange(len(crop_set)), frames=crop_set.index["length"]
    )
    table = table.merge(index[["clip_id", "start", "length"]], on="clip_id", validate="one_to_one")
    if not len(table):
        raise ValueError(f"{crops_folder} and {sounds_folder} share no clip; give one split")
    wrong = table[table["length"] != table["frames"] * SAMPLES_PER_FRAME]
    if len(wrong):
        one = wrong.iloc[0]
        raise ValueError(
            f"{one.clip_id}: {one.frames} crops in {crops_folder}, {one.length} samples in "
            f"{sounds_folder}, not {SAMPLES_PER_FRAME} a frame; make both again"
        )
    digests = {
        "crops_manifest": sha256_file(crop_set.folder / "manifest.json"),
        "sounds_index": sha256_file(index_path),
    }
    return PairedClips(crop_set, samples, table.drop(columns="frames"), digests)


@contextmanager
def read_ahead(read: Callable[[int], object], numbers: Iterable[int]) -> Iterator[Iterator]:
    """Context manager that yields an iterator over read(number), in order.

    One background thread reads the next batch while the caller works with the last one. An error of
    `read` is raised where its batch is taken. Leaving the block, also in the middle, ends the
    thread.
    """
    with ThreadPoolExecutor(1, "read-ahead") as thread:

        def batches() -> Iterator:
            last = None
            for number in numbers:
                following = thread.submit(read, number)
                if last is not None:
                    yield last.result()
                last = following
            if last is not None:
                yield last.result()

        try:
            yield batches()
        finally:
            thread.shutdown(cancel_futures=True)


def spread_rows(clips: int, most: int) -> np.ndarray:
    """At most `most` of the rows 0..clips-1 (n,) int64, evenly spread; all if there are no more."""
    return np.unique(np.linspace(0, clips - 1, min(clips, most)).round()).astype(np.int64)


def write_sounds(
    manifest: pd.DataFrame,
    split: str,
    media_root: str | PathLike,
    folder: str | PathLike,
    workers: int = 1,
) -> None:
    """Write the sounds of the accepted clips of a split into `folder`, sorted by clip_id.

    A sound is cut, or padded with silence, to 640 samples a frame. Clips without usable sound and
    those of another frame rate than 25 are rejected with a reason. Equal input gives equal bytes
    whatever `workers`. Raises ValueError for a split without accepted clips.
    """
    folder, chosen = Path(folder), (manifest["split"] == split) & (manifest["status"] == "ok")
    clips = manifest[chosen].sort_values("clip_id", ignore_index=True)
    if not len(clips):
        raise ValueError(f"the manifest has no accepted clip in the split {split!r}")
    (folder / INDEX).unlink(missing_ok=True)
    rows, rejects, start = [], [], 0
    tasks = clips[["media", "n_frames", "fps"]].itertuples(index=False, name=None)
    read = ordered_map(partial(_read_one, Path(media_root)), tasks, workers)
    with atomic_path(folder / SOUNDS) as temporary, open(temporary, "wb") as file:
        _write_header(file, 0)
        for clip, (sound, reason) in zip(clips.itertuples(), read, strict=True):
            if reason:
                rejects.append((clip.clip_id, reason))
                continue
            file.write(sound.tobytes())
            rows.append((clip.clip_id, start, len(sound), clip.sha256))
            start += len(sound)
        file.seek(0)
        _write_header(file, start)
        file.flush()
    _write_table(folder / REJECTS, rejects, REJECT_COLUMNS)
    _write_table(folder / INDEX, rows, INDEX_COLUMNS)


def _read_one(media_root: Path, clip: tuple[str, int, float]) -> tuple[np.ndarray | None, str]:
    """The sound of a clip, and why it cannot be used ('' if it can)."""
    media, n_frames, fps = clip
    path = media_root / media
    if fps != FPS:
        return None, f"{fps:g} frames a second; sounds are cut for {FPS}"
    try:
        sound = read_clip(path, sound=True).sound
    except MediaError as error:
        return None, str(error).removeprefix(f"{path}: ").replace(str(path), media)
    length = n_frames * SAMPLES_PER_FRAME
    return np.pad(sound[:length], (0, max(0, length - len(sound)))).astype("<i2"), ""


def _write_header(file, samples: int) -> None:
    """The npy header of (samples,) int16; numpy leaves room in it for any number."""
    facts = {"descr": "<i2", "fortran_order": False, "shape": (samples,)}
    np.lib.format.write_array_header_1_0(file, facts)


def _write_table(path: Path, rows: list[tuple], columns: dict[str, str]) -> None:
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=list(columns)).astype(columns).to_parquet(temporary, index=False)
