"""Generators that need no training: the 3D head, fitted to a still, moves its mouth."""

from pathlib import Path

import numpy as np

from visemix.faces.pictures import find_face, frame_face, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.generators.base import FPS, GenerationError, Generator
from visemix.heads.articulation import Style, curves, unit_weights
from visemix.heads.fit import fit_five_points
from visemix.heads.model import load_head
from visemix.heads.still import MOUTH_UNITS, Still, draw_still, prepare_still


class HeadGenerator(Generator):
    """Head model and face detector."""

    def __init__(self, folder: Path, device: str = "cpu"):
        self.head, self.detector = load_head(), RetinaFace(threads=1)

    def prepare(self, picture: Path) -> Still:
        """Fit the head to a picture. Raises PictureError if it shows no usable face."""
        image = read_picture(picture)
        image, points = frame_face(image, find_face(image, self.detector))
        try:
            return prepare_still(self.head, image, fit_five_points(self.head, points))
        except ValueError as error:
            raise GenerationError(f"the head model does not fit: {error}") from error


def speak(portrait: Still, segments, n_frames: int, style: Style) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB of a still whose mouth forms segments of visemes."""
    times = (np.arange(n_frames) + 0.5) / FPS
    weights = unit_weights(curves(segments, times, style), MOUTH_UNITS, style)
    return draw_still(portrait, weights)
