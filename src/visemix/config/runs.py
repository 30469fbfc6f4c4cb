"""The section `runs`: changes to single runs of papers/*.yaml."""

from typing import Literal, get_args

from pydantic import Field, model_validator

from visemix.config.section import NotNegative, Positive, Section

VisemeBranch = Literal["none", "own", "shared"]
TafmOn = Literal["none", "visemes", "words", "both"]
VISEME_BRANCHES, TAFM_ON = get_args(VisemeBranch), get_args(TafmOn)


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
    viseme_branch: VisemeBranch | None = None
    """The auxiliary multi-label branch (VisLabel): none, own (a DC-TCN of its own after the
    front-end) or shared (the features of the words' DC-TCN)."""
    tafm_on: TafmOn | None = None
    """Whose classifier the temporal attention fusion module pools for: none, visemes, words or
    both; it needs lambda and gamma."""
    lambda_: float | None = Field(default=None, alias="lambda")
    """Weight of the temporal attention fusion module (LipGen, Eq. 1-2)."""
    gamma: Positive | None = None
    """Sharpness of its attention (LipGen, Eq. 1-2); .inf: the one most similar frame."""

    @model_validator(mode="before")
    @classmethod
    def switches_have_become_choices(cls, values):
        if isinstance(values, dict):
            check_heads(values)
        return values


def check_heads(run: dict) -> None:
    """Refuse the switches that `viseme_branch` and `tafm_on` were once, and unknown choices.

    `run` may be a part of a run's keys. Raises ValueError.
    """
    if "tafm" in run:
        raise ValueError(
            f"tafm: {run['tafm']} is now a choice; write tafm_on: {', '.join(TAFM_ON)} "
            "(tafm: true meant words)"
        )
    for name, known in (("viseme_branch", VISEME_BRANCHES), ("tafm_on", TAFM_ON)):
        value = run.get(name)
        if value is not None and value not in known:
            hint = "; true meant shared" if (name, value) == ("viseme_branch", True) else ""
            raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}{hint}")


def check_tafm(
    viseme_branch: str, tafm_on: str, lambda_: float | None, gamma: float | None
) -> None:
    """Refuse a temporal attention fusion module without what it acts on. Raises ValueError."""
    if tafm_on in ("visemes", "both") and viseme_branch == "none":
        raise ValueError(
            f"tafm_on: {tafm_on} needs a viseme_branch, own or shared; or take tafm_on: words"
        )
    if tafm_on != "none" and (lambda_ is None or gamma is None):
        raise ValueError("tafm_on needs lambda and gamma; add them in params.yaml")
