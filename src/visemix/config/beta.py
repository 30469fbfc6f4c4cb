"""The section `beta`: the curve over the mixing ratio."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from visemix.config.generator_settings import GeneratorName
from visemix.config.repeats import repeats_value
from visemix.config.section import NaturalInt, Section

Repeats = Annotated[
    str,
    BeforeValidator(lambda value: str(repeats_value(value))),
    WithJsonSchema({"type": ["number", "string"]}),
]


class Beta(Section):
    """The targets `beta_curve` and `beta_samplings` (AudioVSR, Fig. 2 and 3); not part of the
    default job."""

    run: str = "lipgen-R3"
    """Run of papers/*.yaml whose network is trained on all mixtures."""
    generators: Annotated[list[GeneratorName], Field(min_length=1)] = ["portrait", "viseme"]
    """Generators whose clips are mixed in, a curve each."""
    repeats: list[Repeats] = ["0", "1/3", "1/2", "1", "2", "5", "7", "10", "20", "inf"]
    """N of the curve (AudioVSR, Fig. 3): how often the real clips count beside the synthetic ones;
    numbers, fractions such as 1/3, and .inf: real clips alone, which must be among them."""
    seeds: Annotated[list[NaturalInt], Field(min_length=1)] = [0]
    """One training of every mixture for each seed."""
    control: Annotated[list[Literal["updates", "epochs"]], Field(min_length=1)] = [
        "updates", "epochs",
    ]  # fmt: skip
    """What is held equal: `updates`, the same number for all N; `epochs`, as many over each mixture
    as of the real clips alone. The paper does not say which."""
    shares: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1)] = [
        10, 30, 50, 70,
    ]  # fmt: skip
    """Per cent of synthetic clips in a training set of fixed size (AudioVSR, Fig. 2)."""
    samplings: Annotated[int, Field(ge=1, le=26)] = 4
    """Random draws of each percentage (AudioVSR, Fig. 2: A to D)."""

    @model_validator(mode="after")
    def real_clips_alone_are_among_them(self):
        if "inf" not in self.repeats or len(self.repeats) < 2:
            raise ValueError(
                f"beta.repeats is {self.repeats}; it needs .inf, the real clips alone, which every "
                "other N is compared with, and one N besides"
            )
        for name in ("repeats", "generators", "seeds", "control", "shares"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"beta.{name} names a value twice; remove one of them")
        return self
