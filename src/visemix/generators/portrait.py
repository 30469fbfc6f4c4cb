"""The training-free generator: a still moves its mouth by visemes predicted from the sound.

It differs from real video as early talking-head generators do: mouths are piecewise constant (no
coarticulation), the same for all speakers and smaller in range; the light is baked into the still;
the head does not move and the eyes do not blink.
"""

from pathlib import Path

import numpy as np

from visemix.generators.base import Utterance
from visemix.generators.fitted_head import HeadGenerator, speak
from visemix.generators.sound_to_visemes import build_codebook, load_codebook, sound_to_segments
from visemix.heads.articulation import Style
from visemix.heads.still import Still
from visemix.run.provenance import code_digest

# no coarticulation, and a smaller range than a speaker's; lips still close for bilabials
STYLE = Style(
    sharp=True,
    gain=dict(
        jaw=0.8, funnel=0.85, pucker=0.85, stretch=0.75, upper_up=0.8, lower_down=0.8, smile=0.5
    ),
)


class PortraitGenerator(HeadGenerator):
    """Head, face detector and the codebook from sound to visemes."""

    def __init__(self, folder: Path, device: str = "cpu"):
        super().__init__(folder, device)
        self.codebook = load_codebook(codebook_path(folder))

    @classmethod
    def build(cls, folder: Path, workers: int = 1) -> None:
        """Speak the phoneme codebook into a file of `folder`, unless it is there already."""
        path = codebook_path(folder)
        if not path.is_file():
            build_codebook(path, workers)

    def generate(
        self, portrait: Still, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray:
        """Its text is not looked at, and the seed changes nothing."""
        segments = sound_to_segments(utterance.sound, n_frames, self.codebook)
        return speak(portrait, segments, n_frames, STYLE)


GENERATOR = PortraitGenerator


def codebook_path(folder: Path) -> Path:
    """Where the codebook lies in a generator's folder; other code has another file."""
    return Path(folder) / f"codebook-{code_digest(load_codebook.__module__)}.npz"
