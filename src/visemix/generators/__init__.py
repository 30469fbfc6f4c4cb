"""Generators of synthetic clips: one module each, behind the contract of contract.py."""

GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "viseme": "visemix.generators.viseme",
    "wav2lip": "visemix.generators.wav2lip",
    "wav2lip-gan": "visemix.generators.wav2lip.gan",
}
# of them: learn from the training split before they work
TRAINED: frozenset[str] = frozenset({"wav2lip", "wav2lip-gan"})
TEXT_DRIVEN = frozenset({"viseme"})  # of them: need the phonemes of a clip's word
