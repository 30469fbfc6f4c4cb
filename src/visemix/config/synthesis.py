"""The sections `synthesis` and `mixing`: the synthetic clips, and how real clips join them."""

from typing import Literal

from pydantic import model_validator

from visemix.config.generators import GeneratorName
from visemix.config.section import NaturalInt, PositiveInt, Proportion, Section


class Synthesis(Section):
    """Which synthetic clips the runs are trained on."""

    generator: GeneratorName = "portrait"
    """Generator of the runs' synthetic clips; each makes a still face speak. `portrait` follows the
    sound and needs no training; `viseme` follows the word alone."""
    portraits: str = "data/portraits"
    """Folder of face images, or root of a corpus of them (LipGen: FFHQ and VGGFace)."""
    portrait_source: Literal["folder", "ffhq", "vggface", "vggface2", "celeba"] = "folder"
    """How that folder is read. `folder`: every image is an identity; the others: one image of each
    person of that corpus."""
    rendered_portraits: NaturalInt = 0
    """Miniature only: number of stills that the project renders into that folder; 0: the folder
    exists."""
    clips_per_portrait: PositiveInt = 5
    """Clips of each face image, with distinct sounds (LipGen, II-A: five)."""
    clips: PositiveInt | None = 400_000
    """Synthetic clips wanted (LipGen, III-A); null: all portraits times clips_per_portrait."""
    parts: PositiveInt = 1
    """Jobs that make the clips side by side, a GPU each; does not change the result."""
    min_face_share: Proportion = 0.95
    """Clips whose mouth is found in a smaller proportion of frames are rejected."""
    seed: int = 0
    """Seed of the pairs of portraits and sounds."""

    @model_validator(mode="after")
    def rendered_portraits_are_a_folder(self):
        if self.rendered_portraits and self.portrait_source != "folder":
            raise ValueError(
                f"synthesis.portrait_source is {self.portrait_source!r}, but "
                f"{self.rendered_portraits} portraits are to be rendered; set "
                "synthesis.rendered_portraits to 0, or portrait_source to folder"
            )
        return self


class Mixing(Section):
    """How real and synthetic clips become one training set (LipGen: beta = N|Dd| / (N|Dd| +
    |Dg|))."""

    redraw: Literal["fixed", "epoch"] = "fixed"
    """Where N is fractional, the partial copy of the real clips is drawn once (`fixed`) or anew in
    each epoch (`epoch`)."""
    seed: int = 0
    """Seed of that draw."""
