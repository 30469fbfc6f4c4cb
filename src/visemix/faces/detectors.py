"""The face detectors there are, by name, and how many processes one GPU serves."""

from functools import cache

import cv2

from visemix.faces.detection import Detector
from visemix.faces.retinaface import WEIGHTS_SHA256, RetinaFace, default_providers
from visemix.run.gpus import device_name, visible_gpus

# Reckoned, not measured: a clip of LRW (29 frames, 11 of them looked at) takes a core 20 ms to
# decode and cut, and ResNet-50 a GPU of 30 TFLOP/s 5 ms. That keeps four busy; two are to spare.
GPU_PROCESSES = 6


@cache
def load_detector(
    *, detector: str, detector_weights: str | None, detector_sha256: str | None
) -> Detector:
    """The one detector of this process, of one CPU thread; parameters as config.crops.Crops has.

    For 'resnet50' raises what retinaface_resnet50.load_network does.
    """
    cv2.setNumThreads(1)
    if not (detector_weights and detector_sha256):
        return RetinaFace(threads=1)
    import torch

    from visemix.faces.retinaface_resnet50 import RetinaFaceResNet50

    torch.set_num_threads(1)
    return RetinaFaceResNet50(detector_weights, detector_sha256)


def describe_detector(
    *, detector: str, detector_weights: str | None, detector_sha256: str | None
) -> dict[str, str]:
    """What a crop set's manifest says of its detector; not where the weights lie.

    Raises what load_detector would: wrong weights are found once, before processes are started.
    """
    if detector_weights and detector_sha256:
        from visemix.faces.retinaface_resnet50 import load_network

        load_network(detector_weights, detector_sha256)
    digest = detector_sha256 or WEIGHTS_SHA256
    return {"detector": f"retinaface-{detector}", "weights_sha256": digest}


def processes(workers: int, detector: str) -> int:
    """Processes to crop with: GPU_PROCESSES at most where the detector runs on a GPU.

    Each has a detector of its own there, and more of them would take up the GPU's memory for
    nothing, because the GPU is busy then.
    """
    return min(workers, GPU_PROCESSES) if on_gpu(detector) else workers


def on_gpu(detector: str) -> bool:
    """Whether load_detector would run this detector on a GPU of this process."""
    if detector == "resnet50":
        return device_name() == "cuda"
    return "CUDAExecutionProvider" in default_providers() and bool(visible_gpus())
