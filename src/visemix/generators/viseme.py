"""The audio-free generator: the written word alone moves the mouth of a still.

After the text-driven path of Text2Lip (of which we know the abstract alone): word -> phonemes
(CMUdict) -> visemes -> mouth. The phonemes divide the time that the word takes in the source clip
(its start and end are known from the corpus, the sound is not looked at), neighbours overlap by
Cohen and Massaro's dominance functions (heads.articulation), and the mouth is closed before and
after the word, where a real clip shows parts of other words.
"""

import math
from dataclasses import dataclass

import numpy as np

from visemix.generators.base import FPS, GenerationError, Utterance
from visemix.generators.fitted_head import HeadGenerator, speak
from visemix.heads.articulation import random_style, segments
from visemix.heads.still import Still

# ARPAbet -> espeak-ng's mnemonic, in which heads.articulation knows phonemes
MNEMONICS = {
    "AA": "A:", "AE": "a", "AH": "V", "AO": "O:", "AW": "aU", "AY": "aI", "B": "b", "CH": "tS",
    "D": "d", "DH": "D", "EH": "E", "ER": "3:", "EY": "eI", "F": "f", "G": "g", "HH": "h",
    "IH": "I", "IY": "i:", "JH": "dZ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "N",
    "OW": "oU", "OY": "OI", "P": "p", "R": "r", "S": "s", "SH": "S", "T": "t", "TH": "T",
    "UH": "U", "UW": "u:", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "Z",
}  # fmt: skip
# how long a phoneme is beside a plosive (our choice; the word's own length sets the rest)
LENGTHS = {
    "AA AE AH AO EH ER IH IY UH UW": 1.6,
    "AW AY EY OW OY": 2.2,
    "CH F JH S SH TH Z ZH": 1.4,
    "B D DH G HH K L M N NG P R T V W Y": 1.0,
}
_LENGTH = {phoneme: length for names, length in LENGTHS.items() for phoneme in names.split()}


@dataclass(frozen=True)
class Phoneme:
    """An espeak-ng mnemonic with its start and end in seconds."""

    start: float
    end: float
    text: str


class VisemeGenerator(HeadGenerator):
    """Moves the mouth by the phonemes of the word, in the time that the word takes."""

    text_driven = True

    def generate(
        self, portrait: Still, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray:
        """The seed draws a way of articulating. Raises GenerationError where the word's phonemes or
        its place in time are not known."""
        style = random_style(np.random.default_rng(seed))
        spoken = segments(place_phonemes(utterance, n_frames / FPS))
        return speak(portrait, spoken, n_frames, style)


GENERATOR = VisemeGenerator


def place_phonemes(utterance: Utterance, seconds: float) -> list[Phoneme]:
    """The word's phonemes in its time span, pauses around them, from 0 to `seconds`.

    Each phoneme gets a part of the span by its LENGTHS. Raises GenerationError as generate does.
    """
    phonemes, label = utterance.phonemes, utterance.label
    if not phonemes:
        raise GenerationError(f"no pronunciation of {label!r}; see visemes.pronunciations")
    if unknown := sorted(set(phonemes) - set(MNEMONICS)):
        raise GenerationError(f"{label!r} has a phoneme {unknown[0]!r}, which is not ARPAbet")
    start, end = utterance.word_start_s, utterance.word_end_s
    if math.isnan(start) or math.isnan(end):
        raise GenerationError(f"it is not known when {label!r} is said in the clip")
    start, end = max(0.0, start), min(seconds, end)
    if start >= end:
        raise GenerationError(f"{label!r} lies outside of the clip's {seconds:.2f} s")
    lengths = np.array([_LENGTH[p] for p in phonemes])
    edges = start + (end - start) * np.r_[0, np.cumsum(lengths) / lengths.sum()]
    edges[-1] = end
    word = [
        Phoneme(float(a), float(b), MNEMONICS[p])
        for a, b, p in zip(edges[:-1], edges[1:], phonemes, strict=True)
    ]
    pauses = [Phoneme(0.0, start, "_")], [Phoneme(end, seconds, "_")]
    before, after = ([p for p in pause if p.end > p.start] for pause in pauses)
    return [*before, *word, *after]
