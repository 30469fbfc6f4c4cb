"""From video to 96x96 grey mouth crops: one clip, or one split of a corpus."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from visemix.clips.shard_writer import CLIPS_PER_SHARD, CropRecord, build_crops
from visemix.config.crops import Crops
from visemix.faces.alignment import CROP_SIZE, align, cut, cut_fixed
from visemix.faces.detection import LARGE_FACE, Detector, Face
from visemix.faces.detectors import describe_detector, load_detector, processes
from visemix.faces.face_tracks import (
    CropError,
    Track,
    choose_speaker,
    fill_gaps,
    follow_faces,
    moves_slowly,
    require_frames,
    smooth,
)
from visemix.media import Frames, MediaError, read_video
from visemix.run.processes import ordered_map
from visemix.run.provenance import code_digest

__all__ = ["CropError", "MouthCrops", "crop_at", "crop_clip", "crop_set", "locate_speaker"]

_DEFAULTS = Crops()


@dataclass(frozen=True)
class MouthCrops:
    """The mouth crops of a clip and how they came about."""

    crops: np.ndarray  # (T, size, size) uint8, grey
    # (T, 5, 2) float64 px of the frame, as used for the alignment; None for the fixed crop
    landmarks: np.ndarray | None
    # detector_score: mean over the faces found, 0..1 (not for the fixed crop);
    # interpolated_frames: frames in which the face was looked for in vain; scale: mean, crop px per
    # frame px; roll: mean turn that was undone, degrees by which the face leans to the right
    quality: dict[str, float]


def crop_clip(
    frames: Frames, detector: Detector | None, *, size: int = CROP_SIZE, **parameters: Any
) -> MouthCrops:
    """Mouth crops (T, size, size) of the speaker in a Video, or in frames (T, H, W, 3) uint8 RGB.

    parameters: fields of config.crops.Crops, the others at its defaults. The fixed alignment looks
    for no face and leaves `detector` unused. Raises CropError with the reason where no such face is
    found, ValueError for a wrong parameter.

    Size and place of the mouth are stable when the video is turned (up to 20 degrees), scaled (0.75
    to 1.5) and shifted (up to 15% of the frame), as far as all that the crop shows stays in the
    frame. What changes is the detector's doing. Measured over 450 such movements of nine clips
    (eight of GRID, one rendered; medians over a clip, eye_to_mouth 48): the mouth's place by 1.2
    crop px in the median (95% within 2.8, at most 5.4), its size by 1.2% (3.6%, 7.1%), its turn by
    1.0 degrees (2.9, 5.4), in no direction systematically (means over all: 0.4 px, 0.2%, 0.0
    degrees). The same landmarks give the same crops but for resampling. Where the frame's edge cuts
    into the crop, the face is found smaller and its mouth higher up, by as much as 9% and 6 px.
    """
    crops = Crops(**parameters)
    if not len(frames):
        raise CropError("the clip has no frames")
    if crops.alignment == "fixed":
        return _crop_fixed(frames, size)
    if detector is None:
        raise ValueError("the alignment 'retinaface' needs a detector; give one")
    track, looked_at = locate_speaker(frames, detector, crops)
    require_frames(track, looked_at, crops.max_missing_proportion)
    landmarks = fill_gaps(track, len(frames))
    result = crop_at(frames, landmarks, crops.eye_to_mouth, crops.smoothing_window, size)
    found = {
        "detector_score": float(np.mean([face.score for face in track.faces])),
        "interpolated_frames": looked_at - len(track.frames),
    }
    return MouthCrops(result.crops, result.landmarks, found | result.quality)


def _crop_fixed(frames: Frames, size: int) -> MouthCrops:
    """The same square of every frame, nothing looked for, nothing turned or scaled."""
    if size != CROP_SIZE:
        raise ValueError(f"the fixed crop is {CROP_SIZE} px wide, not {size}")
    try:
        crops = cut_fixed(frames)
    except ValueError as error:
        raise CropError(str(error)) from None
    return MouthCrops(crops, None, {"interpolated_frames": 0, "scale": 1.0, "roll": 0.0})


def crop_at(
    frames: Frames,
    landmarks: np.ndarray,
    eye_to_mouth: float,
    smoothing_window: int = 1,
    size: int = CROP_SIZE,
) -> MouthCrops:
    """Mouth crops at known landmarks (T, 5, 2) px, for faces that a detector need not find."""
    landmarks = smooth(landmarks, smoothing_window)
    alignment = align(landmarks, size, eye_to_mouth)
    quality = {"scale": float(alignment.scale.mean()), "roll": float(alignment.roll.mean())}
    return MouthCrops(cut(frames, alignment, size), landmarks, quality)


def locate_speaker(
    frames: Frames, detector: Detector, crops: Crops = _DEFAULTS
) -> tuple[Track, int]:
    """The speaker's track, and the number of frames in which faces were looked for.

    Only every `detect_every`-th frame and the last one are looked at as long as the speaker's face
    is in all of them and moves slowly; otherwise all frames are. Measured with `fill_gaps` and
    smoothing over 5 frames, at 64 crop px from eyes to mouth: landmarks differ from those found
    with every frame looked at by 0.15 crop px on average on real clips (99% within 0.6), 0.26 on
    the embedded corpus (99% within 1.0; with 2: 0.15 and 0.5, with 4: 0.45 and 1.5). How far the
    mouth wanders from the true place, root mean square over a clip, is 1.10 crop px with 3, 1.07
    with 1, 1.08 with 2 and 1.19 with 4; the roll's 0.5 degrees and the size's 1.2% are the same.
    Where the first frame shows large faces only, the detector leaves out its finest level in the
    others, unless the speaker is then missing somewhere; faces come out the same.
    """
    height, width = frames[0].shape[:2]
    total = len(frames)
    chosen = sorted({*range(0, total, crops.detect_every), total - 1})
    faces: dict[int, list[Face]] = {}

    def look_at(numbers: Sequence[int], large_only: bool) -> Track:
        fresh = [n for n in numbers if n not in faces]
        pictures = [frames[n] for n in fresh]
        found = detector.detect(pictures, crops.score, crops.longest_side, large_only)
        faces.update(zip(fresh, found, strict=True))
        tracks = follow_faces([(n, faces[n]) for n in numbers])
        return choose_speaker(tracks, height, width)

    look_at(chosen[:1], large_only=False)
    large_only = _are_large(faces[0], min(1.0, crops.longest_side / max(height, width)))
    track = look_at(chosen, large_only)
    if len(track.frames) < len(chosen) and large_only:
        faces.clear()
        large_only = False
        track = look_at(chosen, large_only)
    if len(track.frames) < len(chosen) or not moves_slowly(track):
        chosen = list(range(total))
        track = look_at(chosen, large_only)
    return track, len(chosen)


def _are_large(faces: Sequence[Face], scale: float) -> bool:
    """Whether there are faces, all of them large enough for the detector's coarse levels."""
    sides = [float(min(face.box[2:] - face.box[:2])) * scale for face in faces]
    return bool(sides) and min(sides) >= LARGE_FACE


def crop_set(
    manifest: pd.DataFrame,
    split: str,
    media_root: str | os.PathLike,
    folder: str | os.PathLike,
    parameters: dict | None = None,
    workers: int = 1,
    clips_per_shard: int = CLIPS_PER_SHARD,
    crop: Callable[..., MouthCrops] = crop_clip,
    columns: Sequence[str] = (),
    code: str | None = None,
    facts: dict | None = None,
) -> None:
    """Crop all clips of a split into a crop set at `folder` (see clips.shards).

    `parameters`: fields of config.crops.Crops, the others at its defaults; all are kept in the
    set's manifest, the detector's weights by their sha256. Another `crop` than crop_clip gets the
    clip's values in `columns` of the manifest after the detector, and `code` is the digest of its
    code; `facts` are kept beside the parameters, such as where it draws. Clips without usable video
    or face become rejects with a reason and stop nothing; clips that the manifest rejected are
    rejects here too, so that none is lost from a test set. Equal input gives equal bytes whatever
    the number of `workers` (processes of one thread each, a handful where the detector runs on a
    GPU); a run that was killed goes on at its last whole shard. Raises ValueError for a wrong
    parameter or a split without clips, and what load_detector raises.
    """
    parameters, chosen = split_parameters(parameters or {})
    # the fixed crop of a clip as it is looks for nothing
    detector = None if crop is crop_clip and parameters["alignment"] == "fixed" else chosen
    clips = manifest[manifest["split"] == split]
    if not (clips["status"] == "ok").any():
        known = ", ".join(sorted(set(manifest["split"])))
        raise ValueError(f"the manifest has no accepted clip in the split {split!r} (has: {known})")
    plan = clips[[*_PLAN_COLUMNS, *columns]]
    # The digest of the code is part of what a shard was made from: no crops of older code stay.
    recorded: dict[str, Any] = describe_detector(**detector) if detector else {"detector": None}
    recorded["code"] = code or code_digest(__name__)
    workers = processes(workers, detector["detector"]) if detector else workers

    def make(rows: pd.DataFrame) -> Iterator[CropRecord]:
        work = partial(_crop_one, Path(media_root), crop, parameters, detector)
        prepare = partial(load_detector, **detector) if detector else None
        tasks = rows.itertuples(index=False, name=None)
        records = ordered_map(work, tasks, workers, prepare, _crashed)
        return tqdm(records, f"crop {split}", len(rows), unit="clip", disable=None)

    size = (parameters["size"],) * 2
    recorded |= parameters | (facts or {})
    build_crops(folder, plan, make, recorded, clips_per_shard, size)


_PLAN_COLUMNS = (
    "clip_id", "label", "speaker", "word_start_s", "word_end_s", "media", "n_frames", "sha256",
    "status", "reason",
)  # fmt: skip


def split_parameters(given: dict) -> tuple[dict, dict]:
    """Arguments of crop_clip and of load_detector, from fields of config.crops.Crops.

    Those not given are at their defaults. Raises ValueError for a wrong parameter.
    """
    if unknown := sorted(set(given) - set(Crops.model_fields)):
        known = ", ".join(Crops.model_fields)
        raise ValueError(f"unknown crop parameter {unknown[0]!r}; known: {known}")
    clip = Crops(**given).model_dump()
    detector = {name: clip.pop(name) for name in list(clip) if name.startswith("detector")}
    return clip | {"size": CROP_SIZE}, detector


def _crop_one(
    media_root: Path,
    crop: Callable[..., MouthCrops],
    parameters: dict,
    detector: dict | None,
    row: tuple,
) -> CropRecord:
    clip = dict(zip(_PLAN_COLUMNS, row, strict=False))  # the columns for `crop` come after these
    path = media_root / clip["media"]
    common = {name: clip[name] for name in _PLAN_COLUMNS[:5]}
    if clip["status"] == "rejected":
        return CropRecord(**common, crops=None, reason=clip["reason"])
    try:
        frames = read_video(path)
    except MediaError as error:
        # The reason shall be the same wherever the corpus lies.
        reason = str(error).removeprefix(f"{path}: ").replace(str(path), clip["media"])
        return CropRecord(**common, crops=None, reason=reason)
    if len(frames) != clip["n_frames"]:
        reason = f"{len(frames)} frames decoded, the manifest says {clip['n_frames']}"
        return CropRecord(**common, crops=None, reason=reason)
    try:
        found = load_detector(**detector) if detector else None
        mouth = crop(frames, found, *row[len(_PLAN_COLUMNS) :], **parameters)
    except CropError as error:
        return CropRecord(**common, crops=None, reason=str(error))
    return CropRecord(**common, crops=mouth.crops, quality=mouth.quality)


def _crashed(row: tuple) -> CropRecord:
    clip = dict(zip(_PLAN_COLUMNS[:5], row[:5], strict=True))
    return CropRecord(**clip, crops=None, reason="the process that worked on the clip died twice")
