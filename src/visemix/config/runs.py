"""The section `runs`: changes to single runs of papers/*.yaml."""

from pydantic import Field

from visemix.config.section import NotNegative, Positive, Section


class RunChange(Section):
    """Changes to one run of papers/*.yaml, named by the section's key; null: as in
    papers/*.yaml."""

    temporal_shift: bool | None = None
    """Whether the front-end has cro-TSM, and a 3D convolution instead of global average pooling."""
    synthetic: bool | None = None
    """Whether the generator's clips are mixed in."""
    repeats: NotNegative | None = None
    """N of beta = N|Dd| / (N|Dd| + |Dg|): how often the real clips count; .inf: real clips
    alone."""
    viseme_branch: bool | None = None
    """Whether the network has the auxiliary multi-label branch (VisLabel)."""
    tafm: bool | None = None
    """Whether the network has the temporal attention fusion module; it needs lambda and gamma."""
    lambda_: float | None = Field(default=None, alias="lambda")
    """Weight of the temporal attention fusion module (LipGen, Eq. 1-2)."""
    gamma: Positive | None = None
    """Sharpness of its attention (LipGen, Eq. 1-2); .inf: the one most similar frame."""
