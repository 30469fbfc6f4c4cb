"""What every generator of synthetic clips takes and gives, and the checks its output must pass.

In: the picture of a person, the sound of a training clip, a clip_id, a seed and the number of
frames at 25 fps. Out: mouth crops (T, 96, 96), cut by the same detector and alignment as those of
the corpus, and a GenerationRecord; a clip that fails a check is a record with a reason, never a
hole. A generator is a module of this package (see GENERATORS) with

* `version() -> str`: a digest of the code that decides its pixels;
* `build(folder, workers)`: make once what all processes share, in files under `folder`;
* `load(folder) -> model`: once per process;
* `prepare(model, picture_path) -> portrait`: once per picture;
* `generate(model, portrait, sound, n_frames, seed) -> frames` uint8 (n_frames, H, W, 3) RGB,

the last two raising GenerationError with the reason.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from importlib import import_module
from inspect import signature
from itertools import groupby
from os import PathLike
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from visemix.clips.shard_writer import CLIPS_PER_SHARD, CropRecord, build_crops
from visemix.generators import external
from visemix.run.atomic import atomic_path
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest

GENERATORS = {"portrait": "visemix.generators.portrait", **external.GENERATORS}
FPS = 25
MIN_FACE_SHARE = 0.95  # of the frames, in which the mouth must be found
MIN_MOTION = 4.0  # squared grey levels (see mouth_motion); mouths that speak measured 30 to 250
STATUSES = ("accepted", "rejected")
_CODE = ("generators.contract", "faces", "media")  # what decides the crops besides the generator


class GenerationError(ValueError):
    """A synthetic clip cannot be made or used; the message is the reason in its record."""


@dataclass(frozen=True)
class GenerationRecord:
    """How one synthetic clip came about, or why it was rejected."""

    clip_id: str
    label: str
    source: str  # clip_id of the training clip whose sound was used
    portrait: str  # identity of the picture
    generator: str
    version: str
    seed: int
    seconds: float  # CPU time, without the preparation that clips of one portrait share
    status: str  # accepted | rejected
    reason: str = ""


@dataclass(frozen=True)
class Generated:
    """A record with its crops (T, 96, 96) uint8 (None if rejected) and their quality values."""

    record: GenerationRecord
    crops: np.ndarray | None
    quality: dict[str, float]


def generator_module(name: str) -> ModuleType:
    """The module of a generator. Raises ValueError for an unknown name."""
    if name not in GENERATORS:
        raise ValueError(f"unknown generator {name!r}; known: {', '.join(sorted(GENERATORS))}")
    return import_module(GENERATORS[name])


def check_frames(frames: np.ndarray, n_frames: int) -> None:
    """Raise GenerationError unless frames are uint8 (n_frames, H, W, 3)."""
    if not isinstance(frames, np.ndarray):
        raise GenerationError(f"the generator gave {type(frames).__name__} instead of an array")
    if np.issubdtype(frames.dtype, np.floating) and not np.isfinite(frames).all():
        raise GenerationError("frames hold values that are not finite")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise GenerationError(f"frames are {frames.dtype} {frames.shape}, not uint8 (T, H, W, 3)")
    if len(frames) != n_frames:
        raise GenerationError(f"{len(frames)} frames instead of {n_frames}")


def check_crops(crops: np.ndarray, quality: dict, n_frames: int, min_face_share: float) -> None:
    """Raise GenerationError if the mouth was missed in too many frames, or does not move.

    The sound is known not to be silent: generators reject silence themselves.
    """
    if crops.dtype != np.uint8 or len(crops) != n_frames:
        raise GenerationError(f"crops are {crops.dtype} {crops.shape}, not uint8 ({n_frames}, ...)")
    if not all(math.isfinite(value) for value in quality.values()):
        raise GenerationError(f"the crops' quality is not finite: {quality}")
    found = 1 - quality["interpolated_frames"] / n_frames
    if found < min_face_share:
        raise GenerationError(f"the mouth was found in {found:.0%} of the frames only")
    if (motion := mouth_motion(crops)) < MIN_MOTION:
        raise GenerationError(f"the mouth is frozen (variance over time {motion:.2f})")


def mouth_motion(crops: np.ndarray) -> float:
    """Mean variance over time of the middle half of crops (T, H, W), in squared grey levels."""
    height, width = crops.shape[1:]
    middle = crops[:, height // 4 : height * 3 // 4, width // 4 : width * 3 // 4]
    return float(middle.astype(np.float32).var(0).mean())


def synthesise_set(
    generator: str,
    pairs: pd.DataFrame,
    manifest: pd.DataFrame,
    media_root: str | PathLike,
    portraits_root: str | PathLike,
    folder: str | PathLike,
    records_path: str | PathLike,
    parameters: dict | None = None,
    min_face_share: float = MIN_FACE_SHARE,
    workers: int = 1,
    clips_per_shard: int = CLIPS_PER_SHARD,
) -> None:
    """Generate the clips of `pairs` (see pairing) into a crop set at `folder`, and their records.

    parameters: keyword arguments of faces.crops.crop_clip. The crop set's index carries the source
    clip's label and word times, and the portrait as speaker. Equal input gives equal bytes whatever
    `workers`, and after an interruption whole shards are kept. `records_path` (parquet) gets a row
    a clip without its `seconds`, which no two runs share: those are appended, as clips are made, to
    `seconds.csv` beside it. Raises LeakError (see pairing) if a pair is not allowed, ValueError for
    unknown parameters, FileNotFoundError for missing folders.
    """
    from visemix.faces.crops import crop_clip
    from visemix.generators.pairing import check_pairs

    parameters = dict(parameters or {})
    if unknown := sorted(set(parameters) - set(signature(crop_clip).parameters)):
        raise ValueError(f"unknown crop parameter {unknown[0]!r}")
    check_pairs(pairs, manifest)
    media_root, portraits_root = Path(media_root), Path(portraits_root)
    for path in (media_root, portraits_root):
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; check the path")
    module, shared = generator_module(generator), Path(records_path).parent
    shared.mkdir(parents=True, exist_ok=True)
    module.build(shared, workers)
    plan = _plan(pairs, manifest).assign(generator=generator, version=module.version())
    job = Job(generator, shared, media_root, portraits_root, parameters, min_face_share)

    def make(rows: pd.DataFrame) -> Iterator[CropRecord]:
        clips = [Task(**row) for row in rows.to_dict("records")]
        groups = [list(group) for _, group in groupby(clips, key=lambda clip: clip.picture)]
        with open(shared / "seconds.csv", "a") as seconds:
            for group in ordered_map(
                partial(_generate_group, job), groups, workers, on_crash=_crashed
            ):
                for clip, made in group:
                    seconds.write(f"{clip.clip_id},{made.record.seconds:.3f}\n")
                    yield _crop_record(clip, made)

    recorded = {"generator": generator, "version": module.version(), "crops": parameters}
    # shards made by other code must not be taken for finished ones
    recorded |= {"min_face_share": min_face_share, "code": code_digest(*_CODE)}
    build_crops(folder, plan, make, recorded, clips_per_shard)
    write_records(plan, folder, records_path)


def write_records(plan: pd.DataFrame, folder: str | PathLike, path: str | PathLike) -> None:
    """Write the records of a finished crop set, sorted by clip_id (see synthesise_set)."""
    from visemix.clips.shards import read_rejects

    reasons = read_rejects(folder).set_index("clip_id")["reason"]
    records = plan.sort_values("clip_id", ignore_index=True)
    records["reason"] = records["clip_id"].map(reasons).fillna("").astype("str")
    records["status"] = np.where(records["reason"] == "", *STATUSES)
    columns = [f.name for f in fields(GenerationRecord) if f.name != "seconds"]
    with atomic_path(path) as temporary:
        records[columns].to_parquet(temporary, index=False)


@dataclass(frozen=True)
class Task:
    """One clip to make: a row of the plan."""

    clip_id: str
    label: str
    source: str
    portrait: str
    picture: str
    picture_sha256: str
    seed: int
    media: str
    n_frames: int  # at 25 fps
    sha256: str
    word_start_s: float
    word_end_s: float
    generator: str
    version: str


@dataclass(frozen=True)
class Job:
    """What all tasks of a set share."""

    generator: str
    shared: Path
    media_root: Path
    portraits_root: Path
    crop_parameters: dict
    min_face_share: float


def _plan(pairs: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """The pairs with what the manifest says of their sounds."""
    columns = ["clip_id", "media", "n_frames", "fps", "sha256", "word_start_s", "word_end_s"]
    sounds = manifest[columns].rename(columns={"clip_id": "source"})
    plan = pairs.merge(sounds, on="source", how="left", validate="many_to_one")
    plan["n_frames"] = (plan["n_frames"] * FPS / plan["fps"]).round().astype("int64")
    return plan.drop(columns="fps")


def _generate_group(job: Job, group: list[Task]) -> list[tuple[Task, Generated]]:
    """All clips of one portrait."""
    module, model = _model(job.generator, job.shared)
    try:
        portrait = module.prepare(model, job.portraits_root / group[0].picture)
    except GenerationError as error:
        return [(task, rejected(task, str(error))) for task in group]
    return [(task, generate_clip(job, task, module, model, portrait)) for task in group]


def generate_clip(job: Job, task: Task, module: ModuleType, model, portrait) -> Generated:
    """One clip of a prepared portrait, checked; a rejected record instead of an exception."""
    from visemix.faces.crops import CropError, crop_clip
    from visemix.media import MediaError, read_sound

    start, media = time.process_time(), job.media_root / task.media
    try:
        frames = module.generate(model, portrait, read_sound(media), task.n_frames, task.seed)
        check_frames(frames, task.n_frames)
        mouth = crop_clip(frames, _detector(), **job.crop_parameters)
        check_crops(mouth.crops, mouth.quality, task.n_frames, job.min_face_share)
    except (GenerationError, MediaError, CropError) as error:
        made = rejected(task, str(error).removeprefix(f"{media}: "))
        crops, quality, record = None, {}, made.record
    else:
        crops, quality = mouth.crops, mouth.quality
        record = replace(rejected(task, "").record, status="accepted")
    return Generated(replace(record, seconds=time.process_time() - start), crops, quality)


def rejected(task: Task, reason: str) -> Generated:
    """The outcome of a clip that was not made."""
    names = {f.name for f in fields(GenerationRecord)} - {"seconds", "status", "reason"}
    known = {name: value for name, value in asdict(task).items() if name in names}
    record = GenerationRecord(**known, seconds=0.0, status="rejected", reason=reason)
    return Generated(record, None, {})


def _crashed(group: list[Task]) -> list[tuple[Task, Generated]]:
    return [
        (task, rejected(task, "the process that worked on the portrait died twice"))
        for task in group
    ]


def _crop_record(task: Task, made: Generated) -> CropRecord:
    return CropRecord(
        task.clip_id, task.label, made.crops, made.quality, speaker=task.portrait,
        word_start_s=task.word_start_s, word_end_s=task.word_end_s, reason=made.record.reason,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _model(generator: str, shared: Path) -> tuple[ModuleType, object]:
    """The generator of this process, one thread each: parallel work is done by processes."""
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    threadpool_limits(1)
    module = generator_module(generator)
    return module, module.load(shared)


@lru_cache(maxsize=1)
def _detector():
    from visemix.faces.retinaface import RetinaFace

    return RetinaFace(threads=1)
