"""The evaluation set of a generator: held-out clips, each re-created from what is known of it.

A real clip of the validation split gives its first frame as the portrait and its own sound; the
generator's clip has its clip_id and label, so that the two can be compared frame by frame
(reconstruction, as in Wav2Lip and TalkLip) and by a recogniser. Why the validation split: sounds of
the test split shall reach no generator, and recognisers and trained generators learnt from those of
the training split. Nothing may be trained on such a set: its manifest says `role: evaluation`,
which clips.mixture refuses.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from visemix.clips.mixture import EVALUATION
from visemix.clips.shard_writer import CLIPS_PER_SHARD, CropRecord, build_crops
from visemix.clips.shards import open_crops
from visemix.faces.alignment import align
from visemix.faces.crops import MouthCrops, split_parameters
from visemix.faces.detectors import describe_detector
from visemix.generators.base import (
    FPS,
    SAMPLES_PER_FRAME,
    GenerationError,
    Generator,
    Utterance,
    check_sound,
    generator_class,
)
from visemix.media import Clip, read_clip
from visemix.run.gpus import device_model, processes_on
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest
from visemix.synthesis.build import FAILURES, MIN_FACE_SHARE, Job, loaded_generator, made_ready
from visemix.synthesis.checks import check_frames
from visemix.synthesis.measures import MOUTH, landmark_distance
from visemix.synthesis.pairing import check_manifest_leaks

SPLIT = "val"
# clip_id, preparing, generating: wall-clock seconds, as clips are made; device that made them
SECONDS = "seconds.csv"
_COLUMNS = (
    "clip_id", "label", "speaker", "word_start_s", "word_end_s", "media", "n_frames", "fps",
    "sha256", "seed", "phonemes",
)  # fmt: skip


def evaluation_set(
    generator: str,
    manifest: pd.DataFrame,
    real_folder: str | PathLike,
    media_root: str | PathLike,
    model_folder: str | PathLike,
    folder: str | PathLike,
    seconds_path: str | PathLike,
    parameters: dict | None = None,
    min_face_share: float = MIN_FACE_SHARE,
    clips: int | None = None,
    seed: int = 0,
    workers: int = 1,
    clips_per_shard: int = CLIPS_PER_SHARD,
    pronunciations: Mapping[str, Sequence[str]] | None = None,
    device: str = "cpu",
) -> None:
    """Make the evaluation set of a generator as a crop set at `folder` (see clips.shards).

    Args:
        real_folder: crop set of the validation split; only clips that are in it are made.
        model_folder: where the generator's `build` shall write, or its trained weights are.
        seconds_path: CSV that gets a line a clip while it is made (see SECONDS).
        parameters: as those of faces.crops.crop_set.
        clips: how many validation clips, drawn at random; None or too many takes all.
        pronunciations: phonemes of each label, for text-driven generators.
        device: of a trained generator's networks, which then share it in as many processes as it
            has memory for; the set records it.

    The index has, besides the quality of the crops, landmark_distance and mouth_distance: the mean
    distance to the real clip of the five points, and of the two mouth corners, in crop px after
    both faces were aligned; still_landmark_distance and still_mouth_distance are those of the real
    clip's own first frame, for comparison. Clips that fail a check are rejects with the reason.
    Raises LeakError (see pairing) where a validation speaker or file is in the training split too,
    ValueError for unknown parameters and where no clip is left, FileNotFoundError before a trained
    generator was trained, ShardError without real crops.
    """
    parameters, detector = split_parameters(parameters or {})
    kind, model_folder = generator_class(generator), Path(model_folder)
    check_manifest_leaks(manifest)
    plan = draw_clips(manifest, real_folder, clips, seed)
    columns = made_ready(kind, generator, model_folder, workers, plan, pronunciations)
    plan = plan.assign(**{"phonemes": "", "weights_sha256": ""} | columns)
    job = Job(
        generator, model_folder, Path(media_root), parameters, min_face_share,
        detector=detector, device=device,
    )  # fmt: skip
    workers, made_on = processes_on(device, workers), made_on_device(kind, device)

    def make(rows: pd.DataFrame) -> Iterator[CropRecord]:
        tasks = rows[list(_COLUMNS)].to_dict("records")
        with open(seconds_path, "a") as file:
            made = ordered_map(partial(_reconstruct, job), tasks, workers, on_crash=_crashed)
            for record, seconds in made:
                if seconds:
                    file.write(f"{record.clip_id},{seconds[0]:.4f},{seconds[1]:.4f},{made_on}\n")
                yield record

    recorded: dict = {"role": EVALUATION, "split": SPLIT, "generator": generator}
    recorded |= {"version": kind.version(), "code": code_digest(__name__)}
    recorded |= {"crops": parameters | describe_detector(**detector)}
    recorded |= {"min_face_share": min_face_share}
    if kind.trained:
        recorded["device"] = device
    Path(seconds_path).parent.mkdir(parents=True, exist_ok=True)
    build_crops(folder, plan, make, recorded, clips_per_shard)


def made_on_device(kind: type[Generator], device: str) -> str:
    """On what a generator makes its clips: 'cpu', a GPU's name, or what its program takes."""
    return device_model() if kind.trained and device != "cpu" else kind.place


def draw_clips(
    manifest: pd.DataFrame, real_folder: str | PathLike, clips: int | None, seed: int
) -> pd.DataFrame:
    """Rows of the manifest, with a seed each: `clips` of the accepted validation clips with crops.

    The same clips whatever the generator. Raises ValueError if there is none.
    """
    with open_crops(real_folder) as real:
        cropped = set(real.index["clip_id"])
    usable = (manifest["split"] == SPLIT) & (manifest["status"] == "ok")
    usable = manifest[usable & manifest["clip_id"].isin(cropped)]
    usable = usable.sort_values("clip_id", ignore_index=True)
    if usable.empty:
        raise ValueError(
            f"{real_folder} holds no accepted clip of the validation split; generators are "
            "measured on such clips, make its crops from the same manifest"
        )
    chosen = np.random.default_rng(seed).permutation(len(usable))[: clips or len(usable)]
    return usable.iloc[np.sort(chosen)].assign(seed=seed).reset_index(drop=True)


def _reconstruct(job: Job, clip: dict) -> tuple[CropRecord, tuple[float, float] | None]:
    """The crops of one clip, re-created, and the seconds of preparing and generating."""
    path = job.media_root / clip["media"]
    try:
        if clip["fps"] != FPS:
            raise GenerationError(f"{clip['fps']:g} frames a second; {FPS} can be compared")
        real = read_clip(path, sound=True)
        check_sound(real.sound[: len(real.frames) * SAMPLES_PER_FRAME])
        frames, seconds = _generate(job, real, clip)
        made = job.crop(frames, real.sound)
        true = job.cut(real.frames)
    except FAILURES as error:
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), clip["media"])
        return _rejected(clip, reason), None
    quality = made.quality | _distances(made, true, job.crop_parameters)
    record = CropRecord(
        clip["clip_id"], clip["label"], made.crops, quality, clip["speaker"], clip["clip_id"],
        clip["word_start_s"], clip["word_end_s"],
    )  # fmt: skip
    return record, seconds


def _generate(job: Job, real: Clip, clip: dict) -> tuple[np.ndarray, tuple[float, float]]:
    """Frames from the first frame and the sound, and the seconds of preparing and generating."""
    generator = loaded_generator(job.generator, job.shared, job.device)
    said = Utterance(
        real.sound, clip["label"], clip["word_start_s"], clip["word_end_s"],
        tuple(clip["phonemes"].split()),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        still = Path(folder) / "still.png"
        cv2.imwrite(str(still), real.frames[0][..., ::-1])
        start = time.perf_counter()
        portrait = generator.prepare(still)
        prepared = time.perf_counter()
        made = generator.generate(portrait, said, len(real.frames), clip["seed"])
        generated = time.perf_counter()
    return check_frames(made, len(real.frames)), (prepared - start, generated - prepared)


def _distances(made: MouthCrops, true: MouthCrops, parameters: dict) -> dict[str, float]:
    """Distances of landmarks in crop px; none for the fixed crop, which has no landmarks."""
    if made.landmarks is None or true.landmarks is None:
        return {}
    of_made, of_true = (_in_crop(x, parameters) for x in (made.landmarks, true.landmarks))
    still = np.repeat(of_true[:1], len(of_true), axis=0)
    return {
        f"{prefix}{name}_distance": landmark_distance(points[:, chosen], of_true[:, chosen])
        for prefix, points in (("", of_made), ("still_", still))
        for name, chosen in (("landmark", slice(None)), ("mouth", MOUTH))
    }


def _in_crop(landmarks: np.ndarray, parameters: dict) -> np.ndarray:
    """Landmarks (T, 5, 2) of the frames where they come to lie in the crops, px."""
    matrices = align(landmarks, parameters["size"], parameters["eye_to_mouth"]).matrices
    return np.einsum("tij,tnj->tni", matrices[:, :, :2], landmarks) + matrices[:, None, :, 2]


def _crashed(clip: dict) -> tuple[CropRecord, None]:
    reason = "the process that worked on the clip died twice"
    return _rejected(clip, reason), None


def _rejected(clip: dict, reason: str) -> CropRecord:
    """A clip that was not made, with whose it would have been."""
    known = {"speaker": clip["speaker"], "source": clip["clip_id"]}
    return CropRecord(clip["clip_id"], clip["label"], None, reason=reason, **known)
