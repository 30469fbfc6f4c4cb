"""The training-free generator: one still and the visemes heard in a sound make a talking portrait.

It differs from real video as early talking-head generators do: mouths are piecewise constant (no
coarticulation), the same for all speakers and smaller in range; the light is baked into the still;
the head does not move and the eyes do not blink.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from visemix.faces.retinaface import RetinaFace
from visemix.generators.contract import GenerationError, Utterance
from visemix.generators.pictures import find_face, frame_face, read_picture
from visemix.generators.sound_to_visemes import (
    Codebook,
    build_codebook,
    load_codebook,
    sound_to_segments,
)
from visemix.heads.articulation import Style, curves, unit_weights
from visemix.heads.fit import fit_five_points
from visemix.heads.model import Head, load_head
from visemix.heads.still import MOUTH_UNITS, Still, draw_still, prepare_still
from visemix.run.provenance import code_digest

FPS = 25
# no coarticulation, and a smaller range than a speaker's; lips still close for bilabials
STYLE = Style(
    sharp=True,
    gain=dict(
        jaw=0.8, funnel=0.85, pucker=0.85, stretch=0.75, upper_up=0.8, lower_down=0.8, smile=0.5
    ),
)


@dataclass(frozen=True)
class Model:
    """What a process needs to make clips."""

    head: Head
    detector: RetinaFace
    codebook: Codebook


@cache
def version() -> str:
    """Digest of the code that decides the pixels."""
    return code_digest(__name__)


def build(folder: Path, workers: int = 1) -> None:
    """Speak the phoneme codebook into a file of `folder`, unless it is there already."""
    path = _codebook_path(folder)
    if not path.is_file():
        build_codebook(path, workers)


def load(folder: Path) -> Model:
    """Head model, face detector and codebook. Raises FileNotFoundError before `build`."""
    return Model(load_head(), RetinaFace(threads=1), load_codebook(_codebook_path(folder)))


def prepare(model: Model, picture: Path) -> Still:
    """Fit the head to a picture. Raises GenerationError if it shows no usable face."""
    image = read_picture(picture)
    image, points = frame_face(image, find_face(image, model.detector))
    try:
        return prepare_still(model.head, image, fit_five_points(model.head, points))
    except ValueError as error:
        raise GenerationError(f"the head model does not fit: {error}") from error


def generate(
    model: Model, portrait: Still, utterance: Utterance, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait speaking the sound.

    Its text is not looked at. Nothing is drawn at random, so that the seed changes nothing. Raises
    GenerationError for a silent sound.
    """
    segments = sound_to_segments(utterance.sound, n_frames, model.codebook)
    times = (np.arange(n_frames) + 0.5) / FPS
    weights = unit_weights(curves(segments, times, STYLE), MOUTH_UNITS, STYLE)
    return draw_still(portrait, weights)


def _codebook_path(folder: Path) -> Path:
    return Path(folder) / f"codebook-{code_digest(build_codebook.__module__)}.npz"
