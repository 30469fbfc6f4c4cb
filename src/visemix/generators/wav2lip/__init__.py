"""Wav2Lip, trained here: the still's lower half is hidden and drawn anew from 200 ms of sound.

Prajwal et al., "A lip sync expert is all you need for speech to lip generation in the wild" (ACM
MM 2020), on grey 96x96 mouth crops instead of whole faces. Our reading: the lower half of the crop
is hidden where the paper hides the lower half of the face (see Wav2LipConfig.hidden_from). The GAN
variant is the module `gan` beside this one.
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

    generator: object  # model.Generator
    detector: RetinaFace
    eye_to_mouth: float  # crop px, of the crops that it learnt from
    alignment: str  # of those crops, see faces.crops.crop_clip


@cache
def version() -> str:
    """Digest of the code that decides the pixels, besides the weights."""
    return code_digest(__name__)


def build(folder: Path, workers: int = 1) -> None:
    """Nothing is shared besides the weights."""


def train(data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu") -> dict:
    """Train expert and generator; see training.train."""
    from visemix.generators.wav2lip import training

    return training.train(data, held_out, settings, folder, seed, device)


def load(folder: Path, device: str = "cpu") -> Model:
    """The generator on `device`, and a face detector. Raises FileNotFoundError before `train`."""
    from visemix.generators.wav2lip.training import load_generator

    prepare_inference(device)
    generator, eye_to_mouth, alignment = load_generator(folder, device)
    return Model(generator, RetinaFace(threads=1), eye_to_mouth, alignment)


def prepare(model: Model, picture: Path) -> CropPortrait:
    """A picture's mouth crop. Raises GenerationError if it shows no usable face."""
    image = read_picture(picture)
    return prepare_crop(image, model.detector, model.eye_to_mouth, model.alignment)


def generate(
    model: Model, portrait: CropPortrait, utterance: Utterance, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait saying the utterance.

    Nothing is drawn at random, so that the seed changes nothing.
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
    from visemix.generators.wav2lip.measures import speak_all

    sounds = [utterance.sound for utterance in utterances]
    crops = speak_all(model.generator, portrait.crop, sounds, n_frames)
    yield from (paste(portrait, clip) for clip in crops)
