"""The training-free generator: one still and the visemes heard in a sound make a talking portrait.

It differs from real video as early talking-head generators do: mouths are piecewise constant (no
coarticulation), the same for all speakers and smaller in range; the light is baked into the still;
the head does not move and the eyes do not blink.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from visemix.faces.detection import Face
from visemix.faces.retinaface import RetinaFace
from visemix.generators.contract import GenerationError
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
PICTURE_SIZE = 256  # px: side of the frames made from a larger picture
LARGE = 384  # px: larger pictures are cut down to the face
FACE_HEIGHT = 0.48  # of the frame's height, of a picture that is cut down
MIN_SCORE = 0.5  # of the face detector
MIN_EYE_DISTANCE = 20  # px
# no coarticulation, and a smaller range than a speaker's; lips still close for bilabials
STYLE = Style(
    sharp=True,
    gain=dict(
        jaw=0.8, funnel=0.85, pucker=0.85, stretch=0.75, upper_up=0.8, lower_down=0.8, smile=0.5
    ),
)
_CODE = tuple("heads." + name for name in ("still", "fit", "model", "rasterizer", "articulation"))
_CODEBOOK_CODE = ("generators.sound_to_visemes", "heads.speech", "heads.espeak_child",
                  "heads.articulation")  # fmt: skip


@dataclass(frozen=True)
class Model:
    """What a process needs to make clips."""

    head: Head
    detector: RetinaFace
    codebook: Codebook


@cache
def version() -> str:
    """Digest of the code that decides the pixels."""
    return code_digest("generators.portrait", *_CODE, *_CODEBOOK_CODE, "heads.data")


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
    model: Model, portrait: Still, sound: np.ndarray, n_frames: int, seed: int
) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait speaking sound (N,) int16.

    16 kHz mono. Nothing is drawn at random, so that the seed changes nothing. Raises
    GenerationError for a silent sound.
    """
    segments = sound_to_segments(sound, n_frames, model.codebook)
    times = (np.arange(n_frames) + 0.5) / FPS
    weights = unit_weights(curves(segments, times, STYLE), MOUTH_UNITS, STYLE)
    return draw_still(portrait, weights)


def read_picture(path: Path) -> np.ndarray:
    """A picture (H, W, 3) uint8 RGB. Raises GenerationError if it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise GenerationError("the picture cannot be read")
    return np.ascontiguousarray(image[..., ::-1])


def find_face(image: np.ndarray, detector: RetinaFace) -> Face:
    """The largest face of a picture. Raises GenerationError if there is none to work with."""
    faces = detector.detect(image[None], MIN_SCORE, 640)[0]
    if not faces:
        raise GenerationError("no face found in the picture")
    face = max(faces, key=lambda f: float(np.prod(f.box[2:] - f.box[:2])))
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    if eyes < MIN_EYE_DISTANCE:
        raise GenerationError(
            f"the face is too small: eyes {eyes:.0f} px apart, need {MIN_EYE_DISTANCE}"
        )
    return face


def frame_face(image: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """The picture as frames show it, and the face's five points (5, 2) px in it.

    A large picture is cut to a square around the face and scaled to 256 px.
    """
    height, width = image.shape[:2]
    if max(height, width) <= LARGE:
        return image, face.landmarks
    x0, y0, x1, y1 = face.box
    side = int(np.clip((y1 - y0) / FACE_HEIGHT, 2, min(height, width)))
    left = int(np.clip((x0 + x1 - side) / 2, 0, width - side))
    top = int(np.clip((y0 + y1 - side) / 2, 0, height - side))
    part = image[top : top + side, left : left + side]
    scale = PICTURE_SIZE / side
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    framed = cv2.resize(part, (PICTURE_SIZE, PICTURE_SIZE), interpolation=way)
    return framed, (face.landmarks - (left, top)) * scale


def _codebook_path(folder: Path) -> Path:
    return Path(folder) / f"codebook-{code_digest(*_CODEBOOK_CODE)}.npz"
