"""Wav2Lip, trained here: the still's lower half is hidden and drawn anew from 200 ms of sound.

Prajwal et al., "A lip sync expert is all you need for speech to lip generation in the wild" (ACM
MM 2020), on grey 96x96 mouth crops instead of whole faces. Our reading: the lower half of the crop
is hidden where the paper hides the lower half of the face (`hidden_from` in config.generators).
With the setting `adversarial` it is Wav2Lip + GAN, trained against a quality discriminator as well.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visemix.generators.base import Utterance
from visemix.generators.crop_space import CropGenerator


class Wav2LipGenerator(CropGenerator):
    """A trained Wav2Lip. Nothing is drawn at random, so that the seed changes nothing."""

    def __init__(self, folder: Path, device: str = "cpu"):
        from visemix.generators.wav2lip.training import load_generator

        self.network, eye_to_mouth, alignment = load_generator(folder, device)
        super().__init__(device, eye_to_mouth, alignment)

    @classmethod
    def train(
        cls, data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu"
    ) -> dict:
        """Train sync expert and generator; see training.train."""
        from visemix.generators.wav2lip import training

        settings = dict(settings)
        adversarial = settings.pop("adversarial", False)
        return training.train(data, held_out, settings, folder, seed, device, adversarial)

    def draw(
        self,
        still: np.ndarray,
        utterances: Sequence[Utterance],
        n_frames: int,
        seeds: Sequence[int],
    ) -> np.ndarray:
        from visemix.generators.wav2lip.measures import speak_all

        return speak_all(self.network, still, [said.sound for said in utterances], n_frames)


GENERATOR = Wav2LipGenerator
