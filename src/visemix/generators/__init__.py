"""Generators of synthetic clips: one module each, behind the contract of contract.py."""

GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "viseme": "visemix.generators.viseme",
}
TRAINED: frozenset[str] = frozenset()  # of them: learn from the training split before they work
TEXT_DRIVEN = frozenset({"viseme"})  # of them: need the phonemes of a clip's word
