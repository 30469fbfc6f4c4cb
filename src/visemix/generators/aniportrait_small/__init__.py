"""aniportrait-small: two stages as in AniPortrait, of our own making and trained here.

AniPortrait (Wei et al., arXiv 2403.17694), LipGen's generator: (1) a sound becomes a sequence of
meshes, drawn as pictures of landmarks; (2) a diffusion model draws the face of a reference picture
with each of these meshes. `external-aniportrait` runs the published program. This one

* moves the mouth of a head model by the visemes heard, instead of learning a mesh (see mesh);
* keeps the head still, where AniPortrait's second network gives it a pose by the sound;
* draws 96 x 96 grey mouth crops, from nothing learned beforehand: a U-Net on pixels (see unet) in
  place of Stable Diffusion, its autoencoder, its reference network and CLIP;
* has no motion modules: the frames of a clip share their noise (see renderer).

Only the second stage is trained, on crops and sounds of the training split.
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

    renderer: object  # renderer.Renderer
    detector: RetinaFace


@cache
def version() -> str:
    """Digest of the code that decides the pixels, besides the weights."""
    return code_digest(__name__)


def train(data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu") -> dict:
    """Train the second stage; see training.train."""
    from visemix.generators.aniportrait_small import training

    return training.train(data, held_out, settings, folder, seed, device)


def build(folder: Path, workers: int = 1) -> None:
    """Nothing is shared besides the weights."""


def load(folder: Path, device: str = "cpu") -> Model:
    """Both stages, the network on `device`, and a face detector.

    Raises FileNotFoundError before `train`.
    """
    from visemix.generators.aniportrait_small.renderer import load_weights

    prepare_inference(device)
    return Model(load_weights(folder, device), RetinaFace(threads=1))


def prepare(model: Model, picture: Path) -> CropPortrait:
    """The picture and its mouth crop. Raises GenerationError if it shows no usable face."""
    renderer = model.renderer
    return prepare_crop(
        read_picture(picture), model.detector, renderer.mesh.eye_to_mouth, renderer.alignment
    )


def generate(
    model: Model, portrait: CropPortrait, utterance: Utterance, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB of the portrait speaking, its head still.

    The sound is cut, or padded with silence, to the frames' length; a silent one leaves the mouth
    at rest. The seed draws the noise that the frames start from.
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
    yield from (paste(portrait, crops) for crops in model.renderer.make(still, sounds, seeds))
