"""Which clip of the pose-augmented test set is turned how far (LipGen, section III-C).

The paper: yaw and pitch changes from 15 to 60 degrees, random increments in one or two directions
for each video, 20% of the videos kept as they are. Our reading of the rest: the sizes are drawn
from a grid of angles, each with a random sign, one axis and two axes are equally likely, and one
increment holds for all frames of a clip.
"""

import zlib

import numpy as np
import pandas as pd

from visemix.config.pose import Pose


def draw_angles(manifest: pd.DataFrame, pose: Pose) -> pd.DataFrame:
    """The test split of a manifest with the columns yaw and pitch: degrees to turn each head by.

    Positive yaw turns a face to the image's right, positive pitch makes it look down; both are 0
    for exactly `untouched_proportion` of the clips (rounded). Of the others, about
    `two_axes_proportion` turn about both axes, the rest about yaw or pitch. A clip's draw depends
    on `seed` and its clip_id alone, whatever other clips there are; only whether it is among the
    untouched ones depends on the rest. Raises ValueError where there is no test clip.
    """
    clips = manifest[manifest["split"] == "test"].sort_values("clip_id", ignore_index=True)
    if clips.empty:
        raise ValueError("the manifest has no clip of the test split to turn")
    draws = [_draw(clip_id, pose) for clip_id in clips["clip_id"]]
    rank, yaw, pitch = np.array(draws, float).T
    untouched = np.argsort(rank, kind="stable")[: round(pose.untouched_proportion * len(clips))]
    yaw[untouched] = pitch[untouched] = 0
    return clips.assign(yaw=yaw, pitch=pitch)


def _draw(clip_id: str, pose: Pose) -> tuple[float, float, float]:
    """A random rank, and yaw and pitch in degrees, of one clip."""
    rng = np.random.default_rng([pose.seed, zlib.crc32(clip_id.encode())])
    rank = rng.random()
    yaw, pitch = rng.choice(pose.angles, 2) * rng.choice([-1.0, 1.0], 2)
    if rng.random() >= pose.two_axes_proportion:
        yaw, pitch = (yaw, 0.0) if rng.random() < 0.5 else (0.0, pitch)
    return rank, yaw, pitch
