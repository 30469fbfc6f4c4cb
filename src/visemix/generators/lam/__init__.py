"""LAM: SynthVSR's speech-driven lip animation, trained here. See model for the paper and readings.

A picture's mouth crop and a sound give mouth crops, which are pasted into the picture. This module
is LAM-Baseline; those trained with a VSR perceptual loss as well are the modules v, l and vl.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from visemix.faces.retinaface import RetinaFace
from visemix.generators.contract import Utterance
from visemix.generators.crop_space import CropPortrait, paste, prepare_crop
from visemix.generators.pictures import read_picture
from visemix.run.gpus import prepare_inference
from visemix.run.provenance import code_digest

TRAINED = True


@dataclass(frozen=True)
class Model:
    """What a process needs to make clips."""

    animator: object  # weights.Animator
    detector: RetinaFace


@cache
def version() -> str:
    """Digest of the code that decides the pixels, besides the weights."""
    return code_digest(__name__)


def train(
    data,
    held_out,
    settings: dict,
    folder: Path,
    seed: int,
    device: str = "cpu",
    vsr_run_folder: Path | None = None,
    configuration: str = "baseline",
) -> dict:
    """Train the networks; see training.train. The baseline takes no `vsr_run_folder`."""
    from visemix.generators.lam import training

    settings = {**settings, "configuration": configuration}
    return training.train(data, held_out, settings, folder, seed, device, vsr_run_folder)


def build(folder: Path, workers: int = 1) -> None:
    """Nothing is shared besides the weights."""


def load(folder: Path, device: str = "cpu") -> Model:
    """The network on `device`, and a face detector. Raises FileNotFoundError before `train`."""
    from visemix.generators.lam.weights import load_weights

    prepare_inference(device)
    return Model(load_weights(folder, device), RetinaFace(threads=1))


def prepare(model: Model, picture: Path) -> CropPortrait:
    """The picture and its mouth crop. Raises GenerationError if it shows no usable face."""
    animator = model.animator
    return prepare_crop(
        read_picture(picture), model.detector, animator.eye_to_mouth, animator.alignment
    )


def generate(
    model: Model, portrait: CropPortrait, utterance: Utterance, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB of the portrait speaking, its head still.

    The sound is cut, or padded with silence, to the frames' length. Nothing is drawn at random, so
    that the seed changes nothing.
    """
    return next(generate_batch(model, portrait, [utterance], n_frames, [seed]))


def generate_batch(
    model: Model,
    portrait: CropPortrait,
    utterances: Sequence[Utterance],
    n_frames: int,
    seeds: Sequence[int],
) -> Iterator[np.ndarray]:
    """What `generate` gives of each utterance, all drawn together."""
    sounds = np.stack([utterance.fitted(n_frames) for utterance in utterances])
    still = np.repeat(portrait.crop[None], len(sounds), 0)
    yield from (paste(portrait, crops) for crops in model.animator.make(still, sounds))
