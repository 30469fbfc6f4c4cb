"""The section `generators`: what is compared, and the sections of those that learn."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from visemix.config.generator_names import GENERATORS
from visemix.config.generators import Aniportrait, Lam, Wav2Lip
from visemix.config.section import PositiveInt, Section

if TYPE_CHECKING:
    GeneratorName = str  # the names are data
else:
    GeneratorName = Literal[tuple(GENERATORS)]


class Generators(Section):
    """Generators that learn from the training split before they make clips, a section each, and
    what `snakemake generators` measures."""

    compared: Annotated[list[GeneratorName], Field(min_length=1)] = ["portrait"]
    """Generators that `snakemake generators` measures."""
    evaluation_clips: PositiveInt | None = 2000
    """Validation clips that each of these makes again; null: all."""
    seed: int = 0
    """Seed of the generators' trainings."""
    threads: PositiveInt = 1
    """CPU threads of one training; on a CPU another number rounds otherwise."""
    lip_reader: str = "lipgen-R2"
    """Run on real video alone whose recogniser gives the VSR perceptual loss of lam-v, lam-l and
    lam-vl."""
    lam: Lam = Lam()
    wav2lip: Wav2Lip = Wav2Lip()
    aniportrait: Aniportrait = Aniportrait()
