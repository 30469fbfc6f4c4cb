"""The section `model`: sizes of the word recogniser."""

from typing import Annotated

from pydantic import Field, model_validator

from visemix.config.section import NaturalInt, PositiveInt, Section


class Model(Section):
    """3D stem, ResNet-18 with cro-TSM, and DC-TCN (Ma et al., WACV 2021); the sizes for LRW."""

    width: PositiveInt = 64
    """Channels of the stem and of the first stage of ResNet-18, doubled every stage; 64 for LRW."""
    input_size: Annotated[int, Field(ge=16, le=88)] = 88
    """Side of the network's input, pixels; the 88-pixel crop is scaled down to it."""
    temporal_shift: Annotated[
        list[Annotated[float, Field(ge=0, le=0.5)]], Field(min_length=4, max_length=4)
    ] = [0.25, 0.125, 0.125, 0.0625]
    """cro-TSM: proportion of channels that are shifted one frame each way, for each of the four
    stages; our reading of LipGen."""
    blocks: PositiveInt = 4
    """Dense blocks of the DC-TCN."""
    layers: PositiveInt = 3
    """Layers of a block."""
    growth: PositiveInt = 384
    """Channels that a layer adds, shared equally by the parallel branches."""
    reduced: PositiveInt = 512
    """Channels after a transition."""
    kernels: Annotated[list[PositiveInt], Field(min_length=1)] = [3, 5, 7]
    """Kernel sizes of the parallel branches, odd numbers of frames."""
    dilations: Annotated[list[PositiveInt], Field(min_length=1)] = [1, 2, 5]
    """Dilation of each layer of a block, frames."""
    squeeze_excitation: NaturalInt = 16
    """Reduction ratio of squeeze-and-excitation; 0: off."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Probability of dropout in the DC-TCN."""

    @model_validator(mode="after")
    def sizes_fit(self):
        if len(self.dilations) != self.layers:
            raise ValueError(
                f"model.dilations has {len(self.dilations)} entries for model.layers = "
                f"{self.layers}; give one a layer"
            )
        if self.growth % len(self.kernels):
            raise ValueError(
                f"model.growth = {self.growth} cannot be shared by {len(self.kernels)} branches; "
                "take a multiple of the number of model.kernels"
            )
        if any(k % 2 == 0 for k in self.kernels):
            raise ValueError(f"model.kernels = {self.kernels}: kernels must be odd")
        return self
