"""Published generators, each run as a program of its own in its own environment.

None of them can be installed beside visemix: they pin old libraries, and their weights come from
their authors alone. A file of this package is one program (what it is, where code and weights come
from, which licence, its command line, what is repaired); `program` makes a generator of it,
`installation` says what is missing, `runner` runs it, `repairs` fits what goes in and comes out.
Settings of the user stand in params.yaml, section `external`.
"""

PROGRAMS = (
    "aniportrait",
    "wav2lip",
    "wav2lip-gan",
    "talklip",
    "sadtalker",
    "latentsync",
    "musetalk",
    "echomimic",
)
PREFIX = "external-"
GENERATORS = {
    PREFIX + name: f"visemix.generators.external.{name.replace('-', '_')}" for name in PROGRAMS
}


def settings_of(generator: str, external: dict) -> dict | None:
    """The user's settings of a generator from params.yaml's `external`; None: not one of these.

    Raises ValueError where they are missing.
    """
    if generator not in GENERATORS:
        return None
    name = generator.removeprefix(PREFIX)
    if name not in external:
        raise ValueError(f"external.{name} is missing; give it repository and python")
    return external[name]
