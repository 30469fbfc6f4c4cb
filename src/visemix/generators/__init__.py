"""Generators of synthetic clips: one module each, behind the contract of contract.py."""

from visemix.generators.external import GENERATORS as EXTERNAL

GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "viseme": "visemix.generators.viseme",
    **EXTERNAL,
}
TRAINED: frozenset[str] = frozenset()  # of them: learn from the training split before they work
TEXT_DRIVEN = frozenset({"viseme"})  # of them: need the phonemes of a clip's word
