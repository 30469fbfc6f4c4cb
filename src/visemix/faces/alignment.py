"""Similarity alignment of a face to the mean face, and the mouth crop cut from it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from visemix.media import Frames, Video

# RetinaFace's five points of an upright mean face: image-left and image-right eye, nose, mouth
# corners. The middle between the mouth corners is the origin, and the distance to it from the
# middle between the eyes is 1. Mean over rendered heads of the embedded corpus, made symmetric;
# 72 frames of real speakers (GRID) gave the same within 0.02.
MEAN_FACE = np.array(
    [[-0.44, -1.0], [0.44, -1.0], [0.0, -0.49], [-0.33, 0.0], [0.33, 0.0]], np.float64
)
CROP_SIZE = 96
# Where LRW's 256x256 frames show the mouth (Feng et al., arXiv 2011.07557, and the code with it).
FIXED_FRAME = (256, 256)  # height, width
FIXED_CROP = np.s_[115:211, 79:175]  # rows, columns
# px from the eyes' middle to the mouth's in such frames: 61 (median) in 48 frames of GRID's words
# in LRW's layout, 55 in 81 of the embedded corpus. LRW itself could not be measured.
FIXED_EYE_TO_MOUTH = 60.0


@dataclass(frozen=True)
class Alignment:
    """The map from frame to crop of each frame, in px whose first centre is at (0.5, 0.5)."""

    matrices: np.ndarray  # (T, 2, 3) float64
    scale: np.ndarray  # (T,) crop px per frame px
    roll: np.ndarray  # (T,) degrees by which the face leans to the image's right


def align(landmarks: np.ndarray, size: int, eye_to_mouth: float) -> Alignment:
    """Map five points (T, 5, 2) px to the mean face; the mouth comes to the middle of the crop.

    Rotation and scale are the least-squares similarity over the five points (Umeyama, PAMI 1991,
    which in the plane is one complex number); the shift then puts the middle between the mouth
    corners at size / 2, so that a turned head, whose nose moves sideways, keeps its mouth central.
    `eye_to_mouth` is the distance in crop px from the eyes' middle to the mouth's: 48 shows the
    lower face from the eyes to below the chin, 64 is as tight as the common 96 px crops of LRW.
    Raises ValueError for landmarks that are not finite or all in one point.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if not np.isfinite(landmarks).all():
        raise ValueError("landmarks are not finite")
    points = landmarks[..., 0] + 1j * landmarks[..., 1]
    points = points - points.mean(axis=1, keepdims=True)
    target = (MEAN_FACE[:, 0] + 1j * MEAN_FACE[:, 1]) * eye_to_mouth
    target = target - target.mean()
    spread = (np.abs(points) ** 2).sum(axis=1)
    if not (spread > 1e-6).all():
        raise ValueError("the five landmarks of a frame are all in one point")
    factor = (points.conj() @ target) / spread
    matrices = np.empty((len(landmarks), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = factor.real
    matrices[:, 0, 1], matrices[:, 1, 0] = -factor.imag, factor.imag
    mouth = landmarks[:, 3:].mean(axis=1)
    matrices[:, :, 2] = size / 2 - np.einsum("tij,tj->ti", matrices[:, :, :2], mouth)
    return Alignment(matrices, np.abs(factor), -np.degrees(np.angle(factor)))


def cut(frames: Frames, alignment: Alignment, size: int = CROP_SIZE) -> np.ndarray:
    """Grey mouth crops (T, size, size) uint8 from a Video or from frames (T, H, W, 3) uint8 RGB.

    One warp a frame; the frame's edge is replicated outwards. A face that is larger than the crop
    is warped onto a grid n times finer and averaged n by n (the same n for the whole clip), which
    prevents aliasing and costs the same for every frame size.
    """
    finer = max(1, math.ceil(1 / float(np.median(alignment.scale)) - 1e-6))
    matrices = _to_cv2(alignment.matrices, finer)
    interpolation = cv2.INTER_LINEAR if finer > 1 else cv2.INTER_CUBIC
    crops = np.empty((len(frames), size, size), np.uint8)
    for crop, grey, matrix in zip(crops, _grey(frames), matrices, strict=True):
        warped = cv2.warpAffine(
            grey,
            matrix,
            (size * finer, size * finer),
            flags=interpolation,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if finer > 1:
            warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
        crop[:] = warped
    return crops


def cut_fixed(frames: Frames) -> np.ndarray:
    """The fixed crop of LRW: grey (T, 96, 96) uint8 from a Video or frames (T, 256, 256, 3) RGB.

    Rows 115 to 210 and columns 79 to 174 of each frame, as they are. Raises ValueError for frames
    of another size, in which that square has no meaning.
    """
    if (size := tuple(np.shape(frames[0])[:2])) != FIXED_FRAME:
        raise ValueError(
            f"frames are {size[1]}x{size[0]}; the fixed crop is defined for LRW's 256x256 only, "
            "take crops.alignment: retinaface"
        )
    return np.stack([grey[FIXED_CROP] for grey in _grey(frames)])


def _grey(frames: Frames) -> Iterator[np.ndarray]:
    """Each frame (H, W) uint8: the decoder's own luminance of a Video, otherwise that of RGB."""
    if isinstance(frames, Video):
        yield from map(frames.grey, range(len(frames)))
    else:
        yield from (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)


def _to_cv2(matrices: np.ndarray, finer: int) -> np.ndarray:
    """The same maps, for cv2 (first pixel's centre at 0, 0) and a grid `finer` times as fine."""
    result = matrices * finer
    result[:, :, 2] += result[:, :, :2] @ np.array([0.5, 0.5]) - 0.5
    return result
