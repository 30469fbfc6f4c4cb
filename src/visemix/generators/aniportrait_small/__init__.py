"""aniportrait-small: two stages as in AniPortrait, of our own making and trained here.

AniPortrait (Wei et al., arXiv 2403.17694), LipGen's generator: (1) a sound becomes a sequence of
meshes, drawn as pictures of landmarks; (2) a diffusion model draws the face of a reference picture
with each of these meshes. `external-aniportrait` runs the published program. This one

* moves the mouth of a head model by visemes predicted from sound; no mesh is learnt (see mesh);
* keeps the head still, where AniPortrait's second network gives it a pose by the sound;
* draws 96 x 96 grey mouth crops, from nothing learned beforehand: a U-Net on pixels (see unet) in
  place of Stable Diffusion, its autoencoder, its reference network and CLIP;
* has no motion modules: the frames of a clip share their noise (see renderer).

Only the second stage is trained, on crops and sounds of the training split.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visemix.generators.base import Utterance
from visemix.generators.crop_space import CropGenerator


class AniportraitSmallGenerator(CropGenerator):
    """Both stages; the seed draws the noise that the frames start from. A silent sound leaves the
    mouth at rest."""

    def __init__(self, folder: Path, device: str = "cpu"):
        from visemix.generators.aniportrait_small.renderer import load_weights

        self.renderer = load_weights(folder, device)
        super().__init__(device, self.renderer.mesh.eye_to_mouth, self.renderer.alignment)

    @classmethod
    def train(
        cls, data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu"
    ) -> dict:
        """Train the second stage; see training.train."""
        from visemix.generators.aniportrait_small import training

        return training.train(data, held_out, settings, folder, seed, device)

    def draw(
        self,
        still: np.ndarray,
        utterances: Sequence[Utterance],
        n_frames: int,
        seeds: Sequence[int],
    ) -> np.ndarray:
        sounds = np.stack([utterance.fitted(n_frames) for utterance in utterances])
        return self.renderer.make(np.repeat(still[None], len(sounds), 0), sounds, seeds)


GENERATOR = AniportraitSmallGenerator
