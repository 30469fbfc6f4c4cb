"""The names of all generators, and the module of each, imported only when it is used.

A file of its own, which imports nothing of the package: code that looks a generator up does not
depend on the parameters of any of them, nor (see generators.base.generator_class) on this table.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """A generator: a variant of another has its module, and options among its settings."""

    module: str  # in visemix.generators
    trained: bool = False  # learns from the training split before it works
    text_driven: bool = False  # needs the phonemes of a clip's word
    options: dict = {}  # given to its training beside its section of params.yaml


# published ones, programs that the user installs
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
ROWS = {
    "portrait": Row("portrait"),
    "viseme": Row("viseme", text_driven=True),
    **{PREFIX + name: Row(f"external.{name.replace('-', '_')}") for name in PROGRAMS},
    "wav2lip": Row("wav2lip", trained=True),
    "wav2lip-gan": Row("wav2lip", trained=True, options={"adversarial": True}),
    "aniportrait-small": Row("aniportrait_small", trained=True),
    "lam": Row("lam", trained=True),
    "lam-v": Row("lam", trained=True, options={"configuration": "V"}),
    "lam-l": Row("lam", trained=True, options={"configuration": "L"}),
    "lam-vl": Row("lam", trained=True, options={"configuration": "VL"}),
}
GENERATORS = {name: f"visemix.generators.{row.module}" for name, row in ROWS.items()}
TRAINED = frozenset(name for name, row in ROWS.items() if row.trained)
TEXT_DRIVEN = frozenset(name for name, row in ROWS.items() if row.text_driven)
# trained against a recogniser, which must be trained first
LIP_READER_JUDGED = frozenset(name for name, row in ROWS.items() if "configuration" in row.options)
