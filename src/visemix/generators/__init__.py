"""Generators of synthetic clips: one module each, behind the contract of contract.py."""

GENERATORS = {
    "portrait": "visemix.generators.portrait",
    "wav2lip": "visemix.generators.wav2lip",
    "wav2lip-gan": "visemix.generators.wav2lip.gan",
}
TRAINED: frozenset[str] = frozenset(
    {"wav2lip", "wav2lip-gan"}
)  # of them: learn from the training split before they work
TEXT_DRIVEN: frozenset[str] = frozenset()  # of them: need the phonemes of a clip's word
