"""The section `pose`: the pose-augmented test set (LipGen, III-C)."""

from typing import Annotated

from pydantic import Field

from visemix.config.section import NaturalInt, Proportion, Section


class Pose(Section):
    """How far the heads of the test split are turned (LipGen, III-C)."""

    angles: Annotated[list[Annotated[float, Field(gt=0, le=90)]], Field(min_length=1)] = [
        15, 30, 45, 60,
    ]  # fmt: skip
    """Degrees by which a head is turned, drawn from this list with a random sign. The paper: from
    15 to 60."""
    untouched_proportion: Proportion = 0.2
    """Proportion of the test clips that stay as they are; exact, rounded to a clip."""
    two_axes_proportion: Proportion = 0.5
    """Proportion of the other clips that turn about both axes (yaw and pitch), the rest about one;
    unstated in the paper, our reading."""
    seed: NaturalInt = 0
    """Seed of the draw of clips, axes and angles."""
