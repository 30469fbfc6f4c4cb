"""The sections `synthesis` and `mixing`: the synthetic clips, and how real clips join them."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from visemix.config.generator_settings import GeneratorName
from visemix.config.section import NaturalInt, PositiveInt, Proportion, Section, Text


class Portraits(Section):
    """A source of portraits."""

    source: Literal["folder", "ffhq", "vggface", "vggface2", "celeba"]
    """How the folder is read. `folder`: every image is another person; the others: that corpus."""
    root: Text
    """The folder."""
    images_per_person: PositiveInt = 1
    """Images of each person, of vggface, vggface2 and celeba."""

    @model_validator(mode="after")
    def people_are_known(self):
        if self.images_per_person > 1 and self.source in ("folder", "ffhq"):
            raise ValueError(
                f"images_per_person is {self.images_per_person}, but in {self.source} every image "
                "is another person; leave it out, it is for vggface, vggface2 and celeba"
            )
        return self


def _one_folder(value):
    return [{"source": "folder", "root": value}] if isinstance(value, str) else value


class Synthesis(Section):
    """Which synthetic clips the runs are trained on."""

    generator: GeneratorName = "portrait"
    """Generator of the runs' synthetic clips; each makes a still face speak. `portrait` follows the
    sound and needs no training; `viseme` follows the word alone."""
    portraits: Annotated[
        list[Portraits],
        Field(min_length=1),
        BeforeValidator(_one_folder, json_schema_input_type=str | list[Portraits]),
    ] = [Portraits(source="folder", root="data/portraits")]
    """Sources of portraits (LipGen: FFHQ and VGGFace), or a folder of face images alone."""
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
        sources = [one.source for one in self.portraits]
        if self.rendered_portraits and sources != ["folder"]:
            raise ValueError(
                f"synthesis.portraits are of {', '.join(sources)}, but {self.rendered_portraits} "
                "portraits are to be rendered; set synthesis.rendered_portraits to 0, or "
                "synthesis.portraits to a folder"
            )
        return self

    @model_validator(mode="after")
    def corpora_are_named_once(self):
        for source in {one.source for one in self.portraits} - {"folder"}:
            if sum(one.source == source for one in self.portraits) > 1:
                raise ValueError(
                    f"synthesis.portraits names {source} twice, whose people would count twice; "
                    "remove one of them"
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
