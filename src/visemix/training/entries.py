"""Which clips a step of a training reads, and how it augments them: functions of (seed, step)."""

import numpy as np
import torch

from visemix.clips import augmentation, sampler
from visemix.clips import mixture as mixtures


class Entries:
    """(source, row) of each step: the shuffled mixture of the step's epoch, cut into batches."""

    def __init__(self, mixture: dict, seed: int, batch_size: int):
        self.mixture, self.seed, self.batch_size = mixture, seed, batch_size
        self.epoch = 0
        self.source, self.row = mixtures.expand_mixture(mixture, 0)
        self.count = len(self.row)
        self.steps_per_epoch = sampler.steps_per_epoch(self.count, batch_size)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        position = sampler.position_of(step, self.count, self.batch_size)
        if position.epoch != self.epoch and self.mixture["redraw"] == "epoch":
            self.source, self.row = mixtures.expand_mixture(self.mixture, position.epoch)
        self.epoch = position.epoch
        chosen = sampler.batch_entries(self.seed, position, self.count, self.batch_size)
        chosen = chosen[np.argsort(self.source[chosen], kind="stable")]  # source by source
        return self.source[chosen], self.row[chosen]


class ProcessEntries:
    """What one of several processes needs of each step: `Entries` of its clips, and their draw.

    Attributes:
        capacity: the most clips that a step needs: those of its slice and as many partners.
    """

    def __init__(
        self,
        entries: Entries,
        settings: augmentation.Augmentation,
        clip_shape: tuple[int, int],
        rank: int,
        processes: int,
    ):
        self.entries, self.settings = entries, settings
        self.shape = (entries.batch_size, *clip_shape)  # (B, T, side)
        self.rank, self.processes = rank, processes
        self.capacity = min(entries.batch_size, 2 * entries.batch_size // processes)

    def draw(self, step: int) -> tuple[np.ndarray, augmentation.Draw]:
        """See `augmentation.part_of`."""
        whole = augmentation.draw(self.settings, self.entries.seed, step, self.shape)
        return augmentation.part_of(whole, self.rank, self.processes)

    def tensors(self, input_size: int, step: int) -> dict[str, torch.Tensor]:
        """See `augmentation.tensors_of`."""
        _, drawn = self.draw(step)
        return augmentation.tensors_of(drawn, self.shape[-1], input_size)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        source, row = self.entries(step)
        if self.processes == 1:
            return source, row
        positions, _ = self.draw(step)
        return source[positions], row[positions]
