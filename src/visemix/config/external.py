"""The section `external`: published generators as the user has installed them."""

from typing import Annotated

from pydantic import Field

from visemix.config.generator_names import PREFIX
from visemix.config.section import Positive, PositiveInt, Section, Sha256, Text


class External(Section):
    """A published generator, a program of its own in its own environment; the section bears its
    name without `external-`."""

    repository: Text
    """Folder with the git clone of the published code, with the weights in it."""
    python: Text | Annotated[list[Text], Field(min_length=1)]
    """Python of the generator's environment, or the words of a command, such as `[podman, run,
    --rm, ..., image, python]`."""
    weights: dict[str, Sha256 | None] = {}
    """Files of weights, relative to the repository, with their sha256, verified before a run; null:
    recorded only."""
    timeout_seconds: Positive = 1800.0
    """Seconds allowed for a clip."""
    jobs: PositiveInt = 1
    """Clips made side by side on a GPU."""


def settings_of(generator: str, external: dict) -> dict | None:
    """The user's settings of a generator from params.yaml's `external`; None: not one of these.

    Raises ValueError where they are missing.
    """
    if not generator.startswith(PREFIX):
        return None
    name = generator.removeprefix(PREFIX)
    if name not in external:
        raise ValueError(f"external.{name} is missing; give it repository and python")
    return external[name]
