"""Generators of synthetic clips: one module each, behind the contract of contract.py.

Their names and modules stand in config.generator_names.
"""

from visemix.config.generator_names import GENERATORS

__all__ = ["GENERATORS", "LIP_READER_JUDGED", "TEXT_DRIVEN", "TRAINED"]

LIP_READER_JUDGED = frozenset({"lam-v", "lam-l", "lam-vl"})  # of them: need a trained recogniser
# of them: learn from the training split before they work
TRAINED: frozenset[str] = LIP_READER_JUDGED | {
    "wav2lip",
    "wav2lip-gan",
    "aniportrait-small",
    "lam",
}
TEXT_DRIVEN = frozenset({"viseme"})  # of them: need the phonemes of a clip's word
