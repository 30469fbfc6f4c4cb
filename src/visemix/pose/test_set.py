"""The pose-augmented test set: the crop set of the turned clips of a test split."""

import os
from functools import partial

import pandas as pd

from visemix.faces.crops import crop_set
from visemix.pose.clip import crop_turned
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
    pose.clip.turn_clip.
    """
    crop_set(
        manifest, "test", media_root, folder, parameters, workers,
        crop=partial(crop_turned, device=device), columns=ANGLES, code=code_digest(__name__),
    )  # fmt: skip
