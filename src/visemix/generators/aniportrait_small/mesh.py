"""The first stage: from a sound to pictures of a moving mouth mesh, in the place of the crops.

AniPortrait (section 3.1) learns a mesh of 468 points and a head pose from wav2vec 2.0 features and
draws their landmarks in colours (section 3.2). Points as dense as that are not known of the video
here, whose detector finds five, and a mesh of them cannot be learned. So visemes are predicted from
the sound by the spoken codebook (generators.sound_to_visemes), these move the lips of the CC0 head
model (heads.articulation, with coarticulation), and the model is drawn with each lip in a colour of
its own. Crops are aligned, so that the mean head fits all of them in one place; a head that turns
is seen from the front here. Nothing of this stage is learned from the corpus.
"""

from functools import cached_property

import numpy as np

from visemix.faces.alignment import CROP_SIZE, MEAN_FACE
from visemix.generators.base import GenerationError, check_sound
from visemix.generators.sound_to_visemes import Codebook, sound_to_segments
from visemix.heads.articulation import Style, curves, unit_weights
from visemix.heads.fit import Fit, fit_five_points
from visemix.heads.model import LOWER_LIP, UPPER_LIP, Head, load_head
from visemix.heads.rasterizer import rasterize
from visemix.heads.still import MOUTH_UNITS, Still, draw_still, prepare_still
from visemix.media import FPS, SAMPLES_PER_FRAME

STYLE = Style()  # the same for everybody; what a person adds to it is left to the second stage
SKIN = 100  # grey level of the drawing where there is no lip


class MouthMesh:
    """Draws the mouth that a sound moves; `eye_to_mouth` (crop px) as in faces.alignment.align."""

    def __init__(self, codebook: Codebook, eye_to_mouth: float):
        self.codebook, self.eye_to_mouth = codebook, eye_to_mouth

    def movement(self, sound: np.ndarray, n_frames: int) -> np.ndarray:
        """Face-unit weights (n_frames, u) float32 of sound (N,) int16 at 16 kHz.

        Columns are MOUTH_UNITS. A silent sound leaves the mouth at rest.
        """
        try:
            check_sound(sound[: n_frames * SAMPLES_PER_FRAME])
        except GenerationError:
            return np.zeros((n_frames, len(MOUTH_UNITS)), np.float32)
        segments = sound_to_segments(sound, n_frames, self.codebook)
        times = (np.arange(n_frames) + 0.5) / FPS
        return unit_weights(curves(segments, times, STYLE), MOUTH_UNITS, STYLE).astype(np.float32)

    def draw(self, weights: np.ndarray) -> np.ndarray:
        """Drawings (T, 96, 96, 3) uint8, in the place of crops, for face-unit weights (T, u).

        The upper lip is red and the lower green; blue grows downwards on the skin, so that the chin
        can be seen to move; teeth and tongue are light, the mouth's inside is dark.
        """
        return draw_still(self._still, weights)

    @cached_property
    def _still(self) -> Still:
        head = load_head()
        fit = fit_five_points(head, MEAN_FACE * self.eye_to_mouth + CROP_SIZE / 2)
        return prepare_still(head, _painted(head, fit), fit)


def _painted(head: Head, fit: Fit) -> np.ndarray:
    """Picture (96, 96, 3) uint8 of the head at rest in the drawing's colours."""
    at_rest = head.animate(fit.neutral, np.zeros((1, len(head.unit_names))))[0]
    seen_from = fit.directions(at_rest)
    points = seen_from[:, :2] + fit.shift
    seen, weights = rasterize(
        points[None], -seen_from[None, :, 2], head.triangles, CROP_SIZE, CROP_SIZE
    )
    lips = (weights[0] * head.region("lips")[head.triangles[seen[0]]]).sum(-1)  # 0..1
    rows = np.arange(CROP_SIZE)[:, None] + 0.5
    upper = rows < points[[UPPER_LIP, LOWER_LIP], 1].mean()
    light = SKIN + (255 - SKIN) * lips
    down = np.broadcast_to(255 * rows / CROP_SIZE, lips.shape) * (1 - lips)
    return (
        np.stack([np.where(upper, light, SKIN), np.where(upper, SKIN, light), down], -1)
        .round()
        .astype(np.uint8)
    )
