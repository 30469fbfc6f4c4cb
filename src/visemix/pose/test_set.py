"""The pose-augmented test set: the crop set of the turned clips of a test split."""

import os
from functools import partial

import pandas as pd

from visemix.faces.crops import crop_set, split_parameters
from visemix.faces.detectors import on_gpu
from visemix.pose.clip import crop_turned
from visemix.run.gpus import device_model
from visemix.run.provenance import code_digest

ANGLES = ("yaw", "pitch")  # columns of the manifest: degrees


def pose_set(
    manifest: pd.DataFrame,
    media_root: str | os.PathLike,
    folder: str | os.PathLike,
    parameters: dict | None = None,
    workers: int = 1,
    device: str = "cpu",
) -> None:
    """Turn and crop the clips of a manifest from `pose.angles.draw_angles` into a crop set.

    Clip_ids and labels are those of the test split; the index has the columns yaw, pitch and
    projected of `pose.clip.crop_turned` besides. Clips without usable video or face are rejects, as
    in the test split's own crop set. `parameters` as for faces.crops.crop_set, `device` as for
    pose.clip.turn_clip. A GPU draws only where the detector is on it as well, and processes are
    few therefore: with a process a core their CUDA contexts would fill its memory. Which device
    drew is kept in the manifest as `drawn_on`, and no shard that another drew is taken over.
    """
    _, detector = split_parameters(parameters or {})
    if device == "cuda" and not on_gpu(detector["detector"]):
        device = "cpu"
    crop_set(
        manifest, "test", media_root, folder, parameters, workers,
        crop=partial(crop_turned, device=device), columns=ANGLES, code=code_digest(__name__),
        facts={"drawn_on": device_model() if device == "cuda" else device},
    )  # fmt: skip
