"""LAM: SynthVSR's speech-driven lip animation, trained here. See model for the paper and readings.

A picture's mouth crop and a sound give mouth crops, which are pasted into the picture. The setting
`configuration` makes it LAM-Baseline or one of those trained with a VSR perceptual loss as well.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from visemix.generators.base import Utterance
from visemix.generators.crop_space import CropGenerator


class LamGenerator(CropGenerator):
    """A trained LAM. Nothing is drawn at random, so that the seed changes nothing."""

    def __init__(self, folder: Path, device: str = "cpu"):
        from visemix.generators.lam.weights import load_weights

        self.animator = load_weights(folder, device)
        super().__init__(device, self.animator.eye_to_mouth, self.animator.alignment)

    @classmethod
    def train(
        cls, data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu",
        vsr_run_folder: Path | None = None,
    ) -> dict:  # fmt: skip
        """Train the networks; see training.train. The baseline takes no `vsr_run_folder`."""
        from visemix.generators.lam import training

        return training.train(data, held_out, settings, folder, seed, device, vsr_run_folder)

    def draw(
        self,
        still: np.ndarray,
        utterances: Sequence[Utterance],
        n_frames: int,
        seeds: Sequence[int],
    ) -> np.ndarray:
        sounds = np.stack([utterance.fitted(n_frames) for utterance in utterances])
        return self.animator.make(np.repeat(still[None], len(sounds), 0), sounds)


GENERATOR = LamGenerator
