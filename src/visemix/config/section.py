"""What all sections have in common: the base class, and the types of their fields."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Proportion = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]
NaturalInt = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of params.yaml; the text below a field is its description."""

    model_config = ConfigDict(
        extra="forbid",
        strict=False,
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )
