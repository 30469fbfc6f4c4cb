"""Which clips a step of a training reads, and how it augments them: functions of (seed, step)."""

import numpy as np
import torch

from visemix.clips import augmentation, sampler
from visemix.clips import mixture as mixtures
from visemix.config.training import Training


class Entries:
    """(source, row) of each step's clips, source by source, and the draw of their augmentation.

    A step takes its batch from the shuffled mixture of its epoch. Of several processes, number
    `rank` gets the clips of its slice of the batch and those that they are mixed with.

    Attributes:
        count: entries of an epoch.
        capacity: the most clips that a step needs: those of the slice and as many partners.
    """

    def __init__(
        self, mixture: dict, training: Training, seed: int, clip: tuple[int, int], rank: int = 0
    ):
        self.mixture, self.training, self.seed, self.rank = mixture, training, seed, rank
        self.shape = (training.batch_size, *clip)  # (B, T, side)
        self.epoch = 0
        self.source, self.row = mixtures.expand_mixture(mixture, 0)
        self.count = len(self.row)
        self.steps_per_epoch = sampler.steps_per_epoch(self.count, training.batch_size)
        self.capacity = min(training.batch_size, 2 * training.batch_size // training.processes)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        position = sampler.position_of(step, self.count, self.training.batch_size)
        if position.epoch != self.epoch and self.mixture["redraw"] == "epoch":
            self.source, self.row = mixtures.expand_mixture(self.mixture, position.epoch)
        self.epoch = position.epoch
        chosen = sampler.batch_entries(self.seed, position, self.count, self.training.batch_size)
        chosen = chosen[np.argsort(self.source[chosen], kind="stable")]  # source by source
        if self.training.processes > 1:
            chosen = chosen[self.draw(step)[0]]
        return self.source[chosen], self.row[chosen]

    def draw(self, step: int) -> tuple[np.ndarray, augmentation.Draw]:
        """See `augmentation.part_of`."""
        whole = augmentation.draw(self.training, self.seed, step, self.shape)
        return augmentation.part_of(whole, self.rank, self.training.processes)

    def tensors(self, input_size: int, step: int) -> dict[str, torch.Tensor]:
        """See `augmentation.tensors_of`."""
        return augmentation.tensors_of(self.draw(step)[1], self.shape[-1], input_size)
