"""The section `model`: sizes of the word recogniser; and with them all that fixes the network."""

import math
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_serializer, model_validator

from visemix.config.runs import TafmOn, VisemeBranch, check_tafm
from visemix.config.section import NaturalInt, NotNegative, PositiveInt, Section


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


class Recogniser(Model):
    """The section `model`, and what the labels and the run of papers/*.yaml add to it."""

    model_config = ConfigDict(populate_by_name=True)

    n_words: Annotated[int, Field(ge=2)]
    n_visemes: PositiveInt = 18
    pooling: Literal["average", "conv3d"] = "average"
    viseme_branch: VisemeBranch = "none"
    tafm_on: TafmOn = "none"
    lambda_: float | None = Field(default=None, alias="lambda")
    gamma: NotNegative | None = None

    @model_validator(mode="after")
    def tafm_has_what_it_needs(self):
        check_tafm(self.viseme_branch, self.tafm_on, self.lambda_, self.gamma)
        return self

    @field_serializer("gamma", when_used="json")
    def infinity_is_text(self, gamma: float | None) -> float | str | None:
        return "inf" if gamma == math.inf else gamma

    def to_json(self) -> dict:
        """Plain values for a JSON file, which `recogniser_of` reads."""
        return self.model_dump(mode="json", by_alias=True)


def recogniser_of(facts: dict) -> Recogniser:
    """The network that a file of weights or a training.json names, also in the words of old ones.

    Until version 3 of training.json the sizes of the DC-TCN stood under `backend`, `temporal_shift`
    was `tsm_ratios` and `squeeze_excitation` was `squeeze`; in version 1 the branch and the module
    were switches, and the module stood on the words.
    """
    if "backend" not in facts:
        return Recogniser(**facts)
    facts = facts | facts["backend"]
    layers = facts["layers"]
    facts |= {"blocks": len(layers), "layers": max(layers), "temporal_shift": facts["tsm_ratios"]}
    facts |= {"dilations": facts["dilations"][: max(layers)]}
    facts |= {"squeeze_excitation": facts["squeeze"], "lambda": facts["lambda_"]}
    if "tafm" in facts:
        facts["tafm_on"] = "words" if facts["tafm"] else "none"
        facts["viseme_branch"] = "shared" if facts["viseme_branch"] else "none"
    if facts["tafm_on"] == "none":
        facts |= {"lambda": None, "gamma": None}
    gone = ("backend", "tsm_ratios", "squeeze", "lambda_", "tafm")
    return Recogniser(**{name: value for name, value in facts.items() if name not in gone})
