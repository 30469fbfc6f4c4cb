"""Generators of synthetic clips: one module each, behind the contract of contract.py."""

from visemix.generators.external import GENERATORS as EXTERNAL

GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "viseme": "visemix.generators.viseme",
    **EXTERNAL,
    "wav2lip": "visemix.generators.wav2lip",
    "wav2lip-gan": "visemix.generators.wav2lip.gan",
    "aniportrait-small": "visemix.generators.aniportrait_small",
    "lam": "visemix.generators.lam",
    "lam-v": "visemix.generators.lam.v",
    "lam-l": "visemix.generators.lam.l",
    "lam-vl": "visemix.generators.lam.vl",
}
LIP_READER_JUDGED = frozenset({"lam-v", "lam-l", "lam-vl"})  # of them: need a trained recogniser
# of them: learn from the training split before they work
TRAINED: frozenset[str] = LIP_READER_JUDGED | {
    "wav2lip",
    "wav2lip-gan",
    "aniportrait-small",
    "lam",
}
TEXT_DRIVEN = frozenset({"viseme"})  # of them: need the phonemes of a clip's word
