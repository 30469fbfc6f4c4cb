"""Which clip of the pose-augmented test set is turned how far (LipGen, section III-C).

The paper: yaw and pitch changes from 15 to 60 degrees, random increments in one or two directions
for each video, 20% of the videos kept as they are. Our reading of the rest: the sizes are drawn
from a grid of angles, each with a random sign, one axis and two axes are equally likely, and one
increment holds for all frames of a clip.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd


def draw_angles(
    manifest: pd.DataFrame,
    angles: Sequence[float],
    untouched_share: float = 0.2,
    two_axes_share: float = 0.5,
    seed: int = 0,
) -> pd.DataFrame:
    """The test split of a manifest with the columns yaw and pitch: degrees to turn each head by.

    Positive yaw turns a face to the image's right, positive pitch makes it look down; both are 0
    for exactly `untouched_share` of the clips (rounded). Of the others, about `two_axes_share` turn
    about both axes, the rest about yaw or pitch. A clip's draw depends on `seed` and its clip_id
    alone, whatever other clips there are; only whether it is among the untouched ones depends on
    the rest. Raises ValueError for shares outside 0..1, angles outside 0..90 or no test clip.
    """
    for name, share in (("untouched_share", untouched_share), ("two_axes_share", two_axes_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"pose.{name} is {share}; give a share between 0 and 1")
    if not len(angles) or not all(0 < angle <= 90 for angle in angles):
        raise ValueError(f"pose.angles is {list(angles)}; give degrees above 0 and up to 90")
    clips = manifest[manifest["split"] == "test"].sort_values("clip_id", ignore_index=True)
    if clips.empty:
        raise ValueError("the manifest has no clip of the test split to turn")
    draws = [_draw(clip_id, angles, two_axes_share, seed) for clip_id in clips["clip_id"]]
    rank, yaw, pitch = np.array(draws, float).T
    untouched = np.argsort(rank, kind="stable")[: round(untouched_share * len(clips))]
    yaw[untouched] = pitch[untouched] = 0
    return clips.assign(yaw=yaw, pitch=pitch)


def _draw(clip_id: str, angles: Sequence[float], two_axes_share: float, seed: int):
    """A random rank, and yaw and pitch in degrees, of one clip."""
    rng = np.random.default_rng([seed, zlib.crc32(clip_id.encode())])
    rank = rng.random()
    yaw, pitch = rng.choice(angles, 2) * rng.choice([-1.0, 1.0], 2)
    if rng.random() >= two_axes_share:
        yaw, pitch = (yaw, 0.0) if rng.random() < 0.5 else (0.0, pitch)
    return rank, yaw, pitch
