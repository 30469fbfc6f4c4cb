"""Anchors, decoding and suppression of RetinaFace's networks (Deng et al., CVPR 2020)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from visemix.media import Frames

ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # stride -> anchor sizes, px
LARGE = (16, 32)  # strides that see large faces
# px: shorter side of a box from which on those strides alone find a face. It overlaps an anchor of
# 32 px by a quarter at most, and RetinaFace is trained to take less than 0.3 for background.
LARGE_FACE = 64
_VARIANCE = (0.1, 0.2)  # scale of the predicted offsets and of the predicted log sizes
_OVERLAP_LIMIT = 0.4  # of non-maximum suppression, intersection over union


@dataclass(frozen=True)
class Face:
    """A detected face; coordinates in px, where the first pixel's centre is at (0.5, 0.5).

    Landmarks: image-left eye, image-right eye, nose, image-left and image-right mouth corner.
    """

    score: float  # 0..1
    box: np.ndarray  # (4,) float32: x0, y0, x1, y1
    landmarks: np.ndarray  # (5, 2) float32


# Strides looked at; offsets (B, P, 4), face scores (B, P), landmarks (B, P, 10), float32, with the
# P anchors ordered by stride, row, column, size.
Prediction = tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]


class Detector(ABC):
    """A face detector: a network, and how many frames it takes at a time."""

    batch: int

    @abstractmethod
    def predict(self, frames: Frames, large_only: bool) -> Prediction:
        """What the network says of up to `batch` frames (H, W, 3) uint8 RGB of one size."""

    def detect(
        self,
        frames: Frames,
        threshold: float = 0.5,
        longest_side: int | None = None,
        large_only: bool = False,
    ) -> list[list[Face]]:
        """Faces of each frame, best score first.

        `large_only` leaves out the finest of the network's three levels, whose anchors are 16 and
        32 px: it finds faces from about LARGE_FACE px on (as the network sees them) for less.

        `frames` (T, H, W, 3) uint8 RGB, of any size. Frames with a side above `longest_side` px
        are scaled down for the network (faces are given in the coordinates of the frame all the
        same); None never scales. Raises ValueError for other shapes or types.
        """
        height, width = _frame_size(frames)
        scale = min(1.0, longest_side / max(height, width)) if longest_side else 1.0
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        stretch = np.array([width / size[0], height / size[1]], np.float32)
        faces = []
        for start in range(0, len(frames), self.batch):
            group = frames[start : start + self.batch]
            if scale < 1:
                group = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in group]
            faces += _decode(*self.predict(group, large_only), size, stretch, threshold)
        return faces


def _frame_size(frames) -> tuple[int, int]:
    """Height and width of the frames, whose shape is checked."""
    shapes = {np.shape(f) for f in frames}
    if len(shapes) > 1 or any(len(s) != 3 or s[2] != 3 or 0 in s for s in shapes):
        raise ValueError(f"frames must be (T, H, W, 3) of one size, not {sorted(shapes)}")
    if any(f.dtype != np.uint8 for f in frames):
        raise ValueError("frames must be uint8 RGB")
    return next(iter(shapes))[:2] if shapes else (1, 1)


@cache
def _anchors(strides: tuple[int, ...], width: int, height: int) -> np.ndarray:
    """Anchor boxes (P, 4) float32: centre x, centre y, width, height in px."""
    levels = []
    for stride in strides:
        y, x, size = np.meshgrid(
            (np.arange(-(-height // stride)) + 0.5) * stride,
            (np.arange(-(-width // stride)) + 0.5) * stride,
            ANCHORS[stride],
            indexing="ij",
        )
        levels.append(np.stack([x, y, size, size], -1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def _decode(strides, offsets, scores, points, size, stretch, threshold) -> list[list[Face]]:
    """Faces of each frame from a Prediction."""
    anchors, result = _anchors(strides, *size), []
    for frame in range(len(scores)):
        keep = np.flatnonzero(scores[frame] > threshold)
        keep = keep[np.argsort(-scores[frame, keep], kind="stable")]
        anchor, offset = anchors[keep], offsets[frame, keep]
        centres = anchor[:, :2] + offset[:, :2] * _VARIANCE[0] * anchor[:, 2:]
        halves = anchor[:, 2:] * np.exp(offset[:, 2:] * _VARIANCE[1]) / 2
        boxes = np.concatenate([centres - halves, centres + halves], 1)
        marks = points[frame, keep].reshape(-1, 5, 2) * (_VARIANCE[0] * anchor[:, None, 2:])
        marks += anchor[:, None, :2]
        result.append(
            [
                Face(float(scores[frame, keep[i]]), boxes[i] * np.tile(stretch, 2),
                     marks[i] * stretch)
                for i in suppress(boxes)
            ]
        )  # fmt: skip
    return result


def suppress(boxes: np.ndarray) -> list[int]:
    """Greedy non-maximum suppression of boxes (N, 4) sorted best first; indices of those kept."""
    keep: list[int] = []
    rest = np.arange(len(boxes))
    while len(rest):
        best, rest = rest[0], rest[1:]
        keep.append(int(best))
        rest = rest[overlaps(boxes[best], boxes[rest]) <= _OVERLAP_LIMIT]
    return keep


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    return float(overlaps(a, b[None])[0])


def overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) float64 of a box (4,) with boxes (N, 4)."""
    box, boxes = np.asarray(box, np.float64), np.asarray(boxes, np.float64)
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return common / ((box[2:] - box[:2]).prod() + areas - common + 1e-9)
