"""LAM: SynthVSR's speech-driven lip animation, trained here. See model for the paper and readings.

A picture's mouth crop and a sound give mouth crops, which are pasted into the picture.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from visemix.run.provenance import code_digest

TRAINED = True
_CODE = ("generators.lam.model", "generators.lam.weights", "generators.speech_windows",
         "generators.crop_space", "generators.pictures", "faces")  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What a process needs to make clips."""

    animator: object  # lam.weights.Animator
    detector: object  # faces.retinaface.RetinaFace


@cache
def version() -> str:
    """Digest of the code that, with the weights, decides the pixels."""
    return code_digest("generators.lam", *_CODE)


def train(*arguments, **options) -> dict:
    """See training.train."""
    from visemix.generators.lam.training import train

    return train(*arguments, **options)


def build(folder: Path, workers: int = 1) -> None:
    """Nothing: the training made what processes share."""


def load(folder: Path) -> Model:
    """The trained network in `folder` and a face detector. FileNotFoundError before training."""
    from visemix.faces.retinaface import RetinaFace
    from visemix.generators.lam.weights import load_weights

    return Model(load_weights(folder), RetinaFace(threads=1))


def prepare(model: Model, picture: Path):
    """The picture and its mouth crop. Raises GenerationError if it shows no usable face."""
    from visemix.generators.crop_space import prepare_crop
    from visemix.generators.pictures import read_picture

    return prepare_crop(read_picture(picture), model.detector, model.animator.eye_to_mouth)


def generate(model: Model, portrait, sound: np.ndarray, n_frames: int, seed: int) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait speaking sound (N,) int16.

    16 kHz mono, cut or padded with silence to the frames' length. Nothing is drawn at random, so
    that the seed changes nothing. Raises GenerationError for a silent sound.
    """
    from visemix.generators.checks import check_sound
    from visemix.generators.crop_space import paste

    check_sound(sound)
    length = n_frames * 640
    sound = np.pad(sound[:length], (0, max(0, length - len(sound))))
    check_sound(sound)
    return paste(portrait, model.animator.make(portrait.crop[None], sound[None])[0])
