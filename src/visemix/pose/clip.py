"""One clip of the pose-augmented test set: fit the head, turn it, draw it, crop again.

LipGen, section III-C, after Cheng et al., "Towards Pose-invariant Lip-Reading" (ICASSP 2020). The
papers do not state the fit; here the morphable head is fitted to RetinaFace's five points, one
identity for the clip and a pose for each frame, after smoothing the points over time.
"""

from typing import Any

import numpy as np

from visemix.config.crops import Crops
from visemix.faces.alignment import CROP_SIZE
from visemix.faces.crops import CropError, MouthCrops, crop_at, crop_clip
from visemix.faces.detection import Detector
from visemix.heads.fit import fit_clip
from visemix.heads.model import load_head
from visemix.heads.turned import draw, prepare_clip, view
from visemix.media import Frames

# A detection further than this from where the head is known to be is of something else, or of too
# little use: proportion of the distance from the eyes to the mouth.
_STRAYED = 0.5


def crop_turned(
    frames: Frames,
    detector: Detector,
    yaw: float,
    pitch: float,
    device: str = "cpu",
    **parameters: Any,
) -> MouthCrops:
    """Mouth crops of a clip (T, H, W, 3) whose head is turned further by yaw and pitch (degrees).

    `parameters` are those of faces.crops.crop_clip. The turned clip is cropped as any clip is,
    with the detector; where that does not find the turned face, the fitted head's five points are
    taken for the whole clip, so that none is lost (`quality["projected"]` is 1). A clip with both
    angles 0 is cropped as it is. Raises CropError where no face is found in the clip as it was.
    """
    facts = {"yaw": float(yaw), "pitch": float(pitch), "projected": 0}
    if not yaw and not pitch:
        mouth = crop_clip(frames, detector, **parameters)
        return MouthCrops(mouth.crops, mouth.landmarks, mouth.quality | facts)
    before = crop_clip(frames, detector, **parameters | {"alignment": "retinaface"})
    assert before.landmarks is not None
    turned, points = turn_clip(frames, before.landmarks, yaw, pitch, device)
    if found := _crop_where_found(turned, points, detector, parameters):
        return MouthCrops(found.crops, found.landmarks, facts | found.quality)
    size = parameters.pop("size", CROP_SIZE)
    mouth = crop_at(turned, points, Crops(**parameters).eye_to_mouth, size=size)
    facts = before.quality | facts | {"projected": 1}
    return MouthCrops(mouth.crops, mouth.landmarks, facts | mouth.quality)


def turn_clip(
    frames: Frames, landmarks: np.ndarray, yaw: float, pitch: float, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, H, W, 3) uint8 RGB with the head turned, and its five points (T, 5, 2) px.

    `landmarks` (T, 5, 2) px of the face as it was, yaw and pitch in degrees. On another device than
    the CPU, torch draws the same pixels.
    """
    head, fits = load_head(), fit_clip(load_head(), landmarks)
    pictures = np.stack([frames[t] for t in range(len(frames))])
    surfaces = prepare_clip(head, fits, *pictures.shape[1:3])
    views = [view(surfaces, fit, np.radians(yaw), np.radians(pitch)) for fit in fits]
    if device == "cpu":
        turned = np.stack([draw(surfaces, v, p) for v, p in zip(views, pictures, strict=True)])
    else:
        from visemix.heads.turned_torch import draw_torch

        turned = draw_torch(surfaces, views, pictures, device)
    return turned, np.stack([v.five_points for v in views])


def _crop_where_found(turned, points, detector, parameters) -> MouthCrops | None:
    """Crops by the detector, or None where it does not find the turned head at its place."""
    try:
        mouth = crop_clip(turned, detector, **parameters)
    except CropError:
        return None
    if mouth.landmarks is None:  # the fixed crop looks for nothing
        return mouth
    strayed = np.linalg.norm((mouth.landmarks - points).mean(1), axis=1)
    length = np.linalg.norm(points[:, :2].mean(1) - points[:, 3:].mean(1), axis=1)
    return mouth if np.median(strayed / length) < _STRAYED else None
