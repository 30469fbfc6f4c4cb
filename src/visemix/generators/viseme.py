"""The audio-free generator: the written word alone moves the mouth of a still.

After the text-driven path of Text2Lip (of which we know the abstract alone): word -> phonemes
(CMUdict) -> visemes -> mouth. The phonemes share the time that the word takes in the source clip
(its start and end are known from the corpus, the sound is not looked at), neighbours overlap by
Cohen and Massaro's dominance functions (heads.articulation), and the mouth is closed before and
after the word, where a real clip shows parts of other words.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from visemix.faces.retinaface import RetinaFace
from visemix.generators.checks import GenerationError
from visemix.generators.contract import FPS, Utterance
from visemix.generators.portrait import prepare
from visemix.heads.articulation import curves, random_style, segments, unit_weights
from visemix.heads.model import Head, load_head
from visemix.heads.still import MOUTH_UNITS, Still, draw_still
from visemix.run.provenance import code_digest

__all__ = ["build", "generate", "load", "prepare", "version"]

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
class Model:
    """What a process needs to make clips."""

    head: Head
    detector: RetinaFace


@dataclass(frozen=True)
class Phoneme:
    """An espeak-ng mnemonic with its start and end in seconds."""

    start: float
    end: float
    text: str


@cache
def version() -> str:
    """Digest of the code that decides the pixels."""
    return code_digest(__name__)


def build(folder: Path, workers: int = 1) -> None:
    """Nothing is made beforehand."""


def load(folder: Path) -> Model:
    """Head model and face detector."""
    return Model(load_head(), RetinaFace(threads=1))


def generate(
    model: Model, portrait: Still, utterance: Utterance, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait saying the word.

    The seed draws a way of articulating. Raises GenerationError where the word's phonemes or its
    place in time are not known.
    """
    style = random_style(np.random.default_rng(seed))
    spoken = segments(place_phonemes(utterance, n_frames / FPS))
    times = (np.arange(n_frames) + 0.5) / FPS
    weights = unit_weights(curves(spoken, times, style), MOUTH_UNITS, style)
    return draw_still(portrait, weights)


def place_phonemes(utterance: Utterance, seconds: float) -> list[Phoneme]:
    """The word's phonemes in its time span, pauses around them, from 0 to `seconds`.

    Each phoneme gets a share of the span by its LENGTHS. Raises GenerationError as generate does.
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
