"""What every generator of synthetic clips takes and gives, and the checks its output must pass.

In: the picture of a person, an Utterance (the sound and the word of a training clip), a clip_id, a
seed and the number of frames at 25 fps. Out: mouth crops (T, 96, 96), cut by the same detector and
alignment as those of the corpus, and a GenerationRecord; a clip that fails a check (see checks) is
a record with a reason, never a hole. A generator is a module of this package (see GENERATORS) with

* `version() -> str`: a digest of the code that decides its pixels;
* `build(folder, workers)`: make once what all processes share, in files under `folder`;
* `load(folder) -> model`: once per process;
* `prepare(model, picture_path) -> portrait`: once per picture;
* `generate(model, portrait, utterance, n_frames, seed) -> frames` uint8 (n_frames, H, W, 3) RGB at
  25 fps, or a media.Clip with them, whose frame rate is then checked too,

the last two raising GenerationError with the reason. The sound is known not to be silent. A process
makes many clips; a generator that runs a program with files of its own gives each run a folder.

A trained generator says `TRAINED = True` (and is named in generators.TRAINED), and has

* `train(data, held_out, settings, folder, seed, device)`: learn from PairedClips of the training
  split and write weights.safetensors, history.csv and, last, generator.json into `folder`;

* `load(folder, device) -> model`, which reads them there, its networks on that device ('cpu',
  'cuda'); `build` is not called;
* `generate_batch(model, portrait, utterances, n_frames, seeds)`: yields, for clips of one portrait
  and one length, what `generate` gives of each, drawn together.

A text-driven one (TEXT_DRIVEN) finds the phonemes of the word in the Utterance.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache, partial
from importlib import import_module
from itertools import chain, groupby
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from visemix.clips.shard_writer import CLIPS_PER_SHARD, CropRecord, build_crops
from visemix.corpora.portrait_sources import as_sources
from visemix.generators import GENERATORS, TEXT_DRIVEN, TRAINED
from visemix.generators.checks import (
    GenerationError,
    check_crops,
    check_frames,
    check_repeats,
    check_sound,
    check_stuck,
    mouth_motion,
)
from visemix.run.atomic import atomic_path, sha256_file
from visemix.run.gpus import processes_on
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest

if TYPE_CHECKING:
    from visemix.faces.crops import MouthCrops

__all__ = ["GENERATORS", "GenerationError", "check_crops", "check_frames", "mouth_motion"]

FPS = 25
SAMPLES_PER_FRAME = 640  # of sound, at 16 kHz
MIN_FACE_SHARE = 0.95  # of the frames, in which the mouth must be found
WEIGHTS = "weights.safetensors"  # of a trained generator, in its folder
STATUSES = ("accepted", "rejected")
LAG = "lag.json"  # beside the records
FRAMES_AT_ONCE = 64  # at most drawn together, unless a single clip is longer
WORKING = "working-"  # begins the name of a folder for a program's files, see external.runner


@dataclass(frozen=True)
class Utterance:
    """What is said: the sound of a training clip, its word and where in the sound that word is."""

    sound: np.ndarray  # (N,) int16, 16 kHz mono, from the first frame on
    label: str
    word_start_s: float  # NaN where it is not known
    word_end_s: float
    phonemes: tuple[str, ...] = ()  # of the word, ARPAbet; for text-driven generators only

    def fitted(self, n_frames: int) -> np.ndarray:
        """The sound (n_frames * 640,), cut or padded with silence."""
        length = n_frames * SAMPLES_PER_FRAME
        return np.pad(self.sound[:length], (0, max(0, length - len(self.sound))))


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
    weights_sha256: str = ""  # of a trained generator


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
    `records_path` (parquet) gets a row a clip without its `seconds`, which no two runs share: those
    are appended, as clips are made, to `seconds.csv` beside it. `lag.json` beside it says whether
    mouths and sounds run in step (see lag). With part = (i, n) only the i-th of n parts of the
    shards is made (see build_crops) and no records; parts that run side by side need records_paths
    in folders of their own. Raises LeakError (see pairing) if a pair is not
    allowed, ValueError for unknown parameters, FileNotFoundError for missing folders or weights.
    """
    from visemix.faces.crops import split_parameters
    from visemix.faces.detectors import describe_detector
    from visemix.generators.lag import write_lag
    from visemix.generators.pairing import check_pairs

    parameters, detector = split_parameters(parameters or {})
    detector = detector if parameters["alignment"] == "retinaface" else None
    check_pairs(pairs, manifest)
    media_root = Path(media_root)
    roots = tuple(Path(source["root"]) for source in as_sources(portraits))
    for path in (media_root, *roots):
        if not path.is_dir():
            raise FileNotFoundError(f"{path}: no such folder; check the path")
    module, shared = generator_module(generator), Path(records_path).parent
    make_folder(shared)
    plan = _plan(pairs, manifest).assign(generator=generator, version=module.version())
    if generator in TRAINED:
        plan["weights_sha256"] = weights_sha256(generator, trained_folder)
    else:
        module.build(shared, workers)
    if generator in TEXT_DRIVEN:
        known = {label: " ".join(said) for label, said in (pronunciations or {}).items()}
        plan["phonemes"] = plan["label"].map(known).fillna("")
    loaded = Path(trained_folder) if generator in TRAINED else shared
    job = Job(generator, loaded, media_root, roots, parameters, min_face_share, detector, device)
    workers = processes_on(device, workers)
    # Clips are drawn together with others of their shard alone: it is made whole or not at all.
    shard_of = {c: i // clips_per_shard for i, c in enumerate(sorted(plan["clip_id"]))}

    def together(clip: Task) -> tuple:
        return clip.picture_source, clip.picture, shard_of[clip.clip_id]

    def make(rows: pd.DataFrame) -> Iterator[CropRecord]:
        clips = [Task(**row) for row in rows.to_dict("records")]
        groups = [list(group) for _, group in groupby(clips, key=together)]
        with open(shared / "seconds.csv", "a") as seconds:
            for group in ordered_map(
                partial(_generate_group, job), groups, workers, on_crash=_crashed
            ):
                for clip, made in group:
                    seconds.write(f"{clip.clip_id},{made.record.seconds:.3f}\n")
                    yield _crop_record(clip, made)

    recorded = {"generator": generator, "version": module.version()}
    recorded["crops"] = parameters | (describe_detector(**detector) if detector else {})
    # shards made by other code must not be taken for finished ones
    recorded |= {"min_face_share": min_face_share, "code": code_digest(__name__)}
    if generator in TRAINED:
        recorded["device"] = device
    build_crops(folder, plan, make, recorded, clips_per_shard, part=part)
    if part is None:
        write_records(plan, folder, records_path)
        write_lag(folder, plan, media_root, shared / LAG)


def write_records(plan: pd.DataFrame, folder: str | PathLike, path: str | PathLike) -> None:
    """Write the records of a finished crop set, sorted by clip_id (see synthesise_set)."""
    from visemix.clips.shards import read_rejects

    reasons = read_rejects(folder).set_index("clip_id")["reason"]
    records = plan.sort_values("clip_id", ignore_index=True)
    records["reason"] = records["clip_id"].map(reasons).fillna("").astype("str")
    records["status"] = np.where(records["reason"] == "", *STATUSES)
    columns = [f.name for f in fields(GenerationRecord) if f.name != "seconds"]
    records = records.reindex(columns=columns, fill_value="")
    with atomic_path(path) as temporary:
        records.to_parquet(temporary, index=False)


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
    """What all tasks of a set share."""

    generator: str
    shared: Path  # what the generator loads is in there
    media_root: Path
    portraits_roots: tuple[Path, ...]  # of the sources of portraits
    crop_parameters: dict
    min_face_share: float
    detector: dict | None = None  # keyword arguments of faces.detectors.load_detector
    device: str = "cpu"  # of a trained generator's networks


def _plan(pairs: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """The pairs with what the manifest says of their sounds."""
    columns = ["clip_id", "media", "n_frames", "fps", "sha256", "word_start_s", "word_end_s"]
    sounds = manifest[columns].rename(columns={"clip_id": "source"})
    plan = pairs.merge(sounds, on="source", how="left", validate="many_to_one")
    plan["n_frames"] = (plan["n_frames"] * FPS / plan["fps"]).round().astype("int64")
    return plan.drop(columns="fps")


def make_folder(shared: Path) -> None:
    """The folder for a generator's files, without what a run that was killed left in it."""
    shared.mkdir(parents=True, exist_ok=True)
    for leftover in shared.glob(f"{WORKING}*"):
        shutil.rmtree(leftover)


def weights_sha256(generator: str, folder: str | PathLike | None) -> str:
    """sha256 of the weights of a trained generator. Raises FileNotFoundError before training."""
    if folder is None or not (Path(folder) / WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{folder}: no {WEIGHTS} of the generator {generator!r} there; train it first"
        )
    return sha256_file(Path(folder) / WEIGHTS)


def _generate_group(job: Job, group: list[Task]) -> list[tuple[Task, Generated]]:
    """All clips of one portrait."""
    module, model = _model(job.generator, job.shared, job.device)
    try:
        root = job.portraits_roots[group[0].picture_source]
        portrait = _prepare(job, module, model, root / group[0].picture)
    except GenerationError as error:
        return [(task, rejected(task, str(error))) for task in group]
    trained = getattr(module, "TRAINED", False)
    batches = drawn_together(group) if trained else [[task] for task in group]
    made = [generate_clips(job, tasks, module, model, portrait) for tasks in batches]
    return list(zip(group, chain.from_iterable(made), strict=True))


def drawn_together(group: list[Task]) -> list[list[Task]]:
    """The clips of a portrait in batches of one length, of FRAMES_AT_ONCE frames or a clip."""
    batches = []
    for n_frames, same in groupby(group, key=lambda task: task.n_frames):
        tasks, clips = list(same), max(1, FRAMES_AT_ONCE // n_frames)
        batches += [tasks[at : at + clips] for at in range(0, len(tasks), clips)]
    return batches


def _prepare(job: Job, module: ModuleType, model, picture: Path):
    """A portrait of the picture, or with the fixed crop of the picture as a frame of LRW."""
    if job.crop_parameters.get("alignment") != "fixed":
        return module.prepare(model, picture)
    import cv2

    from visemix.generators.pictures import face_detector, lrw_frame, read_picture

    with tempfile.TemporaryDirectory() as folder:
        framed = Path(folder) / f"{picture.stem}.png"
        cv2.imwrite(str(framed), lrw_frame(read_picture(picture), face_detector())[..., ::-1])
        return module.prepare(model, framed)


def generate_clip(job: Job, task: Task, module: ModuleType, model, portrait) -> Generated:
    """One clip of a prepared portrait, checked; a rejected record instead of an exception."""
    return generate_clips(job, [task], module, model, portrait)[0]


def generate_clips(
    job: Job, tasks: list[Task], module: ModuleType, model, portrait
) -> list[Generated]:
    """As generate_clip for clips of one length; those of a trained generator are drawn together."""
    start = time.process_time()
    found = [_or_reason(job, task, _utterance) for task in tasks]
    spoken = [(task, said) for task, (said, _) in zip(tasks, found, strict=True) if said]
    if getattr(module, "TRAINED", False):
        seeds = [task.seed for task, _ in spoken]
        utterances = [said for _, said in spoken]
        made = module.generate_batch(model, portrait, utterances, tasks[0].n_frames, seeds)
    else:
        made = (
            module.generate(model, portrait, said, task.n_frames, task.seed)
            for task, said in spoken
        )
    outcomes = [
        _or_reason(job, task, _mouth, said, made) if said else (None, reason)
        for task, (said, reason) in zip(tasks, found, strict=True)
    ]
    seconds = (time.process_time() - start) / len(tasks)
    return [_generated(task, *one, seconds) for task, one in zip(tasks, outcomes, strict=True)]


def _or_reason(job: Job, task: Task, function: Callable, *arguments) -> tuple:
    """What function(job, task, ...) gives and '', or None and the reason for the records."""
    from visemix.faces.crops import CropError
    from visemix.media import MediaError

    try:
        return function(job, task, *arguments), ""
    except (GenerationError, MediaError, CropError) as error:
        return None, str(error).removeprefix(f"{job.media_root / task.media}: ")


def _utterance(job: Job, task: Task) -> Utterance:
    from visemix.media import read_sound

    sound = read_sound(job.media_root / task.media)
    check_sound(sound[: task.n_frames * SAMPLES_PER_FRAME])
    said = tuple(task.phonemes.split())
    return Utterance(sound, task.label, task.word_start_s, task.word_end_s, said)


def _mouth(job: Job, task: Task, said: Utterance, made: Iterator) -> "MouthCrops":
    """Crops of the next clip that is made."""
    from visemix.faces.detectors import load_detector

    frames = check_frames(next(made), task.n_frames)
    detector = load_detector(**job.detector) if job.detector else None
    return crop_checked(frames, said.sound, detector, job.crop_parameters, job.min_face_share)


def _generated(task: Task, mouth: "MouthCrops | None", reason: str, seconds: float) -> Generated:
    record = replace(rejected(task, reason).record, seconds=seconds)
    if mouth is None:
        return Generated(record, None, {})
    return Generated(replace(record, status="accepted"), mouth.crops, mouth.quality)


def crop_checked(
    frames: np.ndarray, sound: np.ndarray, detector, parameters: dict, min_face_share: float
) -> "MouthCrops":
    """Mouth crops of a generator's frames that pass all checks. Raises GenerationError, CropError.

    detector, parameters: as for faces.crops.crop_clip; sound (N,) int16 from the first frame on.
    For the fixed crop, square frames that a program made larger than the picture it got are scaled
    down to its size.
    """
    from visemix.faces.crops import crop_clip

    if parameters.get("alignment") == "fixed":
        frames = _at_fixed_size(frames)
    mouth = crop_clip(frames, detector, **parameters)
    check_crops(mouth.crops, mouth.quality, len(frames), min_face_share)
    check_repeats(frames, mouth.crops, _top_of_mouth(mouth))
    check_stuck(mouth.crops, sound)
    return mouth


def _at_fixed_size(frames: np.ndarray) -> np.ndarray:
    import cv2

    from visemix.faces.alignment import FIXED_FRAME

    height, width = frames.shape[1:3]
    if height != width or height <= FIXED_FRAME[0]:
        return frames
    size = FIXED_FRAME[::-1]
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])


def _top_of_mouth(mouth: "MouthCrops") -> int:
    """The row of the frames above which nothing speaks: the highest place of the nose's tip."""
    from visemix.faces.alignment import FIXED_CROP

    return FIXED_CROP[0].start if mouth.landmarks is None else int(mouth.landmarks[:, 2, 1].min())


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
        source=task.source, word_start_s=task.word_start_s, word_end_s=task.word_end_s,
        reason=made.record.reason,
    )  # fmt: skip


def load_model(module: ModuleType, folder: Path, device: str):
    """The model of a generator, if it is trained with its networks on the device."""
    trained = getattr(module, "TRAINED", False)
    return module.load(folder, device) if trained else module.load(folder)


@lru_cache(maxsize=1)
def _model(generator: str, shared: Path, device: str) -> tuple[ModuleType, object]:
    """The generator of this process, one thread each: parallel work is done by processes."""
    import cv2
    from threadpoolctl import threadpool_limits

    cv2.setNumThreads(1)
    threadpool_limits(1)
    module = generator_module(generator)
    return module, load_model(module, shared, device)
