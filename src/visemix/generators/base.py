"""The contract of a generator: what it takes and gives.

In: the picture of a person, an Utterance (the sound and the word of a training clip), a number of
frames and a seed. Out: frames of that person saying it, from which synthesis.build cuts and checks
mouth crops. Every generator is a subclass of Generator, which its module names GENERATOR.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from visemix.media import FPS, SAMPLE_RATE, Clip
from visemix.run.provenance import code_digest

SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
WEIGHTS = "weights.safetensors"  # of a trained generator, in its folder
FRAMES_AT_ONCE = 64  # at most drawn together, unless a single clip is longer
WORKING = "working-"  # begins the name of a folder for a program's files, see external.runner
LEAST_LEVEL_DB = -60  # of full scale: below it a sound is called silent


class GenerationError(ValueError):
    """A synthetic clip cannot be made or used; the message is the reason in its record."""


@dataclass(frozen=True)
class Utterance:
    """What is said: the sound of a training clip, its word and where in the sound that word is."""

    sound: np.ndarray  # (N,) int16, 16 kHz mono, from the first frame on
    label: str
    word_start_s: float  # NaN where it is not known
    word_end_s: float
    phonemes: tuple[str, ...] = ()  # of the word, ARPAbet; for text-driven generators only

    def fitted(self, n_frames: int) -> np.ndarray:
        """The sound (n_frames * 640,), cut or padded with silence."""
        length = n_frames * SAMPLES_PER_FRAME
        return np.pad(self.sound[:length], (0, max(0, length - len(self.sound))))


class Generator(ABC):
    """A generator, loaded once in each process, which then makes many clips.

    Its sound is known not to be silent. One that runs a program with files of its own gives each
    run a folder.
    """

    trained = False  # learns from the training split: has `train`, and no `build`
    text_driven = False  # needs the phonemes of the Utterance
    place = "cpu"  # where an untrained one works, for the record of its speed

    def __init__(self, folder: Path, device: str = "cpu"):  # noqa: B027  (some load nothing)
        """Load what `build` or `train` wrote into `folder`.

        device: 'cpu' or 'cuda', for the networks of a trained one. Raises FileNotFoundError before
        `build` or `train`.
        """

    @classmethod
    def version(cls) -> str:
        """Digest of the code that decides the pixels, besides weights."""
        return code_digest(cls.__module__)

    @classmethod
    def build(cls, folder: Path, workers: int = 1) -> None:
        """Make once what all processes share, in files under `folder`; most share nothing."""
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def prepare(self, picture: Path):
        """The portrait of a picture. Raises PictureError (see faces.pictures) or GenerationError
        with the reason."""

    @abstractmethod
    def generate(
        self, portrait, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray | Clip:
        """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of a portrait speaking, or a media.Clip
        with them, whose frame rate is then checked. Raises GenerationError with the reason."""

    def generate_batch(
        self, portrait, utterances: Sequence[Utterance], n_frames: int, seeds: Sequence[int]
    ) -> Iterator[np.ndarray | Clip]:
        """What `generate` gives of each utterance; a trained generator draws them together."""
        for utterance, seed in zip(utterances, seeds, strict=True):
            yield self.generate(portrait, utterance, n_frames, seed)


def generator_class(name: str) -> type[Generator]:
    """The class of a generator. Raises ValueError for an unknown name."""
    # By name, not by an import statement: the line of another generator in the table is no part of
    # a set's code digest.
    generators = import_module("visemix.config.generator_names").GENERATORS
    if name not in generators:
        raise ValueError(f"unknown generator {name!r}; known: {', '.join(sorted(generators))}")
    return import_module(generators[name]).GENERATOR


def check_sound(sound: np.ndarray) -> None:
    """Raise GenerationError('silent sound') if there is nothing in it that could move a mouth."""
    if sound.ndim != 1:
        raise GenerationError(f"the sound has shape {sound.shape} instead of (N,)")
    scaled = sound.astype(np.float64) / (32768 if sound.dtype == np.int16 else 1)
    power = np.mean(scaled**2) if len(scaled) else 0.0
    if not power > 10 ** (LEAST_LEVEL_DB / 10):  # also false for NaN
        raise GenerationError("silent sound")


def mouth_motion(crops: np.ndarray) -> float:
    """Mean variance over time of the middle half of crops (T, H, W), in squared grey levels."""
    height, width = crops.shape[1:]
    middle = crops[:, height // 4 : height * 3 // 4, width // 4 : width * 3 // 4]
    return float(middle.astype(np.float32).var(0).mean())
