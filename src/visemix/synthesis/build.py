"""Building a set of synthetic clips: generators run over pairs, crops cut and checked, records.

A clip that fails a check (see checks) is a record with a reason, never a hole. Mouth crops are cut
by the same detector and alignment as those of the corpus.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, groupby
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from visemix.clips.shard_writer import CLIPS_PER_SHARD, CropRecord, build_crops
from visemix.clips.shards import read_rejects
from visemix.corpora.portrait_sources import as_sources
from visemix.faces.alignment import FIXED_CROP, FIXED_FRAME
from visemix.faces.crops import CropError, MouthCrops, crop_clip, split_parameters
from visemix.faces.detectors import describe_detector, load_detector
from visemix.faces.pictures import PictureError, face_detector, lrw_frame, read_picture
from visemix.generators.base import (
    FPS,
    FRAMES_AT_ONCE,
    SAMPLES_PER_FRAME,
    WEIGHTS,
    WORKING,
    GenerationError,
    Generator,
    Utterance,
    check_sound,
    generator_class,
)
from visemix.media import MediaError, read_sound
from visemix.run.atomic import atomic_path, sha256_file
from visemix.run.gpus import processes_on
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest
from visemix.synthesis.audio_visual_sync import write_lag
from visemix.synthesis.checks import check_crops, check_frames, check_repeats, check_stuck
from visemix.synthesis.pairing import check_pairs

MIN_FACE_SHARE = 0.95  # of the frames, in which the mouth must be found
STATUSES = ("accepted", "rejected")
LAG = "lag.json"  # beside the records
# source: clip_id of the training clip whose sound was used; portrait: identity of the picture;
# reason: why a clip was rejected; weights_sha256: of a trained generator
RECORD_COLUMNS = (
    "clip_id", "label", "source", "portrait", "generator", "version", "seed", "status", "reason",
    "weights_sha256",
)  # fmt: skip
FAILURES = (GenerationError, PictureError, MediaError, CropError)  # reasons to reject a clip


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
    weights_sha256: str = ""
    phonemes: str = ""  # ARPAbet, with spaces between
    picture_source: int = 0  # whose root the picture lies under


@dataclass(frozen=True)
class Job:
    """What all clips of a set share."""

    generator: str
    shared: Path  # what the generator loads is in there
    media_root: Path
    crop_parameters: dict
    min_face_share: float
    portraits_roots: tuple[Path, ...] = ()  # of the sources of portraits
    detector: dict | None = None  # keyword arguments of faces.detectors.load_detector
    device: str = "cpu"  # of a trained generator's networks

    def cut(self, frames: np.ndarray) -> MouthCrops:
        """Mouth crops of frames (T, H, W, 3) uint8 RGB. Raises CropError."""
        detector = None if self.detector is None else load_detector(**self.detector)
        return crop_clip(frames, detector, **self.crop_parameters)

    def crop(self, frames: np.ndarray, sound: np.ndarray) -> MouthCrops:
        """Mouth crops of a generator's frames that pass all checks; sound (N,) int16 from the first
        frame on. Raises GenerationError, CropError.

        For the fixed crop, square frames that a program made larger than the picture it got are
        scaled down to its size.
        """
        if self.crop_parameters.get("alignment") == "fixed":
            frames = _at_fixed_size(frames)
        mouth = self.cut(frames)
        check_crops(mouth.crops, mouth.quality, len(frames), self.min_face_share)
        check_repeats(frames, mouth.crops, _top_of_mouth(mouth))
        check_stuck(mouth.crops, sound)
        return mouth


def synthesise_set(
    generator: str,
    pairs: pd.DataFrame,
    manifest: pd.DataFrame,
    media_root: str | PathLike,
    portraits: str | PathLike | Sequence[dict],
    folder: str | PathLike,
    records_path: str | PathLike,
    parameters: dict | None = None,
    min_face_share: float = MIN_FACE_SHARE,
    workers: int = 1,
    clips_per_shard: int = CLIPS_PER_SHARD,
    trained_folder: str | PathLike | None = None,
    pronunciations: Mapping[str, Sequence[str]] | None = None,
    part: tuple[int, int] | None = None,
    device: str = "cpu",
) -> None:
    """Generate the clips of `pairs` (see pairing) into a crop set at `folder`, and their records.

    portraits: what the pairs were made from (see make_pairs). parameters: as those of
    faces.crops.crop_set. `trained_folder` holds the weights of a trained generator, whose networks
    work on `device`, in no more processes than that has memory for, and whose set records it;
    `pronunciations` the phonemes of each label for a text-driven one. The crop set's
    index carries the source clip's label and word times, and the portrait as speaker. Equal input
    gives equal bytes whatever `workers`, and after an interruption whole shards are kept.
    `records_path` (parquet) gets a row a clip without its CPU seconds, which no two runs share:
    those are appended, as clips are made, to `seconds.csv` beside it (without the preparation that
    clips of one portrait share). `lag.json` beside it says whether mouths and sounds are in sync
    (see audio_visual_sync). With part = (i, n) only the i-th of n parts of the shards is made (see
    build_crops) and no records; parts that run side by side need records_paths in folders of their
    own. Raises LeakError (see pairing) if a pair is not allowed, ValueError for unknown parameters,
    FileNotFoundError for missing folders or weights.
    """
    parameters, chosen = split_parameters(parameters or {})
    detector = chosen if parameters["alignment"] == "retinaface" else None
    check_pairs(pairs, manifest)
    media_root = Path(media_root)
    roots = tuple(Path(source["root"]) for source in as_sources(portraits))
    for path in (media_root, *roots):
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; check the path")
    kind, shared = generator_class(generator), Path(records_path).parent
    clear_folder(shared)
    plan = _plan(pairs, manifest).assign(generator=generator, version=kind.version())
    loaded = Path(trained_folder or "") if kind.trained else shared
    plan = plan.assign(**made_ready(kind, generator, loaded, workers, plan, pronunciations))
    job = Job(generator, loaded, media_root, parameters, min_face_share, roots, detector, device)
    workers = processes_on(device, workers)
    # Clips are drawn together with others of their shard alone: it is made whole or not at all.
    shard_of = {c: i // clips_per_shard for i, c in enumerate(sorted(plan["clip_id"]))}

    def together(clip: Task) -> tuple:
        return clip.picture_source, clip.picture, shard_of[clip.clip_id]

    def make(rows: pd.DataFrame) -> Iterator[CropRecord]:
        clips = [Task(**row) for row in rows.to_dict("records")]
        groups = [list(group) for _, group in groupby(clips, key=together)]
        with open(shared / "seconds.csv", "a") as seconds:
            for made in ordered_map(
                partial(generate_group, job), groups, workers, on_crash=_crashed
            ):
                for record, spent in made:
                    seconds.write(f"{record.clip_id},{spent:.3f}\n")
                    yield record

    recorded: dict = {"generator": generator, "version": kind.version()}
    recorded["crops"] = parameters | (describe_detector(**detector) if detector else {})
    # shards made by other code must not be taken for finished ones
    recorded |= {"min_face_share": min_face_share, "code": code_digest(__name__)}
    if kind.trained:
        recorded["device"] = device
    build_crops(folder, plan, make, recorded, clips_per_shard, part=part)
    if part is None:
        write_records(plan, folder, records_path)
        write_lag(folder, plan, media_root, shared / LAG)


def write_records(plan: pd.DataFrame, folder: str | PathLike, path: str | PathLike) -> None:
    """Write the records of a finished crop set, sorted by clip_id (see synthesise_set)."""
    reasons = read_rejects(folder).set_index("clip_id")["reason"]
    records = plan.sort_values("clip_id", ignore_index=True)
    records["reason"] = records["clip_id"].map(reasons).fillna("").astype("str")
    records["status"] = np.where(records["reason"] == "", *STATUSES)
    records = records.reindex(columns=RECORD_COLUMNS, fill_value="")
    with atomic_path(path) as temporary:
        records.to_parquet(temporary, index=False)


def _plan(pairs: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """The pairs with what the manifest says of their sounds."""
    columns = ["clip_id", "media", "n_frames", "fps", "sha256", "word_start_s", "word_end_s"]
    sounds = manifest[columns].rename(columns={"clip_id": "source"})
    plan = pairs.merge(sounds, on="source", how="left", validate="many_to_one")
    plan["n_frames"] = (plan["n_frames"] * FPS / plan["fps"]).round().astype("int64")
    return plan.drop(columns="fps")


def made_ready(
    kind: type[Generator],
    generator: str,
    folder: Path,
    workers: int,
    plan: pd.DataFrame,
    pronunciations: Mapping[str, Sequence[str]] | None,
) -> dict:
    """Columns of the plan that a kind of generator needs; what it builds is built in `folder`.

    Raises FileNotFoundError for a generator that was not trained.
    """
    columns = {}
    if not kind.trained:
        clear_folder(folder)
        kind.build(folder, workers)
    elif not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{folder}: no {WEIGHTS} of the generator {generator!r} there; train it first"
        )
    else:
        columns["weights_sha256"] = sha256_file(folder / WEIGHTS)
    if kind.text_driven:
        known = {label: " ".join(said) for label, said in (pronunciations or {}).items()}
        columns["phonemes"] = plan["label"].map(known).fillna("")
    return columns


def clear_folder(shared: Path) -> None:
    """The folder for a generator's files, without what a run that was killed left in it."""
    shared.mkdir(parents=True, exist_ok=True)
    for leftover in shared.glob(f"{WORKING}*"):
        shutil.rmtree(leftover)


@lru_cache(maxsize=1)
def loaded_generator(generator: str, shared: Path, device: str) -> Generator:
    """The generator of this process, one thread each: parallel work is done by processes."""
    cv2.setNumThreads(1)
    threadpool_limits(1)
    return generator_class(generator)(shared, device)


def generate_group(job: Job, group: list[Task]) -> list[tuple[CropRecord, float]]:
    """All clips of one portrait, each with its seconds."""
    generator = loaded_generator(job.generator, job.shared, job.device)
    try:
        root = job.portraits_roots[group[0].picture_source]
        portrait = _prepare(job, generator, root / group[0].picture)
    except (GenerationError, PictureError) as error:
        return [(_record(task, str(error)), 0.0) for task in group]
    batches = drawn_together(group) if generator.trained else [[task] for task in group]
    return list(
        chain.from_iterable(generate_clips(job, tasks, generator, portrait) for tasks in batches)
    )


def drawn_together(group: list[Task]) -> list[list[Task]]:
    """The clips of a portrait in batches of one length, of FRAMES_AT_ONCE frames or a clip."""
    batches = []
    for n_frames, same in groupby(group, key=lambda task: task.n_frames):
        tasks, clips = list(same), max(1, FRAMES_AT_ONCE // n_frames)
        batches += [tasks[at : at + clips] for at in range(0, len(tasks), clips)]
    return batches


def _prepare(job: Job, generator: Generator, picture: Path):
    """A portrait of the picture, or with the fixed crop of the picture as a frame of LRW."""
    if job.crop_parameters.get("alignment") != "fixed":
        return generator.prepare(picture)
    with tempfile.TemporaryDirectory() as folder:
        framed = Path(folder) / f"{picture.stem}.png"
        cv2.imwrite(str(framed), lrw_frame(read_picture(picture), face_detector())[..., ::-1])
        return generator.prepare(framed)


def generate_clips(
    job: Job, tasks: list[Task], generator: Generator, portrait
) -> list[tuple[CropRecord, float]]:
    """Clips of a prepared portrait and of one length, checked, each with its CPU seconds."""
    start = time.process_time()
    found = [_or_reason(job, task, _utterance) for task in tasks]
    spoken = [(said, task.seed) for task, (said, _) in zip(tasks, found, strict=True) if said]
    made = generator.generate_batch(
        portrait, [said for said, _ in spoken], tasks[0].n_frames, [seed for _, seed in spoken]
    )
    outcomes = [
        _or_reason(job, task, _mouth, said, made) if said else (None, reason)
        for task, (said, reason) in zip(tasks, found, strict=True)
    ]
    seconds = (time.process_time() - start) / len(tasks)
    return [
        (_record(task, reason, mouth), seconds)
        for task, (mouth, reason) in zip(tasks, outcomes, strict=True)
    ]


def _or_reason(job: Job, task: Task, function: Callable, *arguments) -> tuple:
    """What function(job, task, ...) gives and '', or None and the reason for the records."""
    try:
        return function(job, task, *arguments), ""
    except FAILURES as error:
        return None, str(error).removeprefix(f"{job.media_root / task.media}: ")


def _utterance(job: Job, task: Task) -> Utterance:
    sound = read_sound(job.media_root / task.media)
    check_sound(sound[: task.n_frames * SAMPLES_PER_FRAME])
    said = tuple(task.phonemes.split())
    return Utterance(sound, task.label, task.word_start_s, task.word_end_s, said)


def _mouth(job: Job, task: Task, said: Utterance, made: Iterator) -> MouthCrops:
    """Crops of the next clip that is made."""
    return job.crop(check_frames(next(made), task.n_frames), said.sound)


def _at_fixed_size(frames: np.ndarray) -> np.ndarray:
    height, width = frames.shape[1:3]
    if height != width or height <= FIXED_FRAME[0]:
        return frames
    size = FIXED_FRAME[::-1]
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])


def _top_of_mouth(mouth: MouthCrops) -> int:
    """The row of the frames above which nothing speaks: the highest place of the nose's tip."""
    return FIXED_CROP[0].start if mouth.landmarks is None else int(mouth.landmarks[:, 2, 1].min())


def _crashed(group: list[Task]) -> list[tuple[CropRecord, float]]:
    reason = "the process that worked on the portrait died twice"
    return [(_record(task, reason), 0.0) for task in group]


def _record(task: Task, reason: str, mouth: MouthCrops | None = None) -> CropRecord:
    """A clip that was made, or why it was not."""
    crops, quality = (mouth.crops, mouth.quality) if mouth else (None, {})
    return CropRecord(
        task.clip_id, task.label, crops, quality, speaker=task.portrait,
        source=task.source, word_start_s=task.word_start_s, word_end_s=task.word_end_s,
        reason=reason,
    )  # fmt: skip
