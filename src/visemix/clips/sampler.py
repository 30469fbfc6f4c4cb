"""Which clips a step reads: a function of (seed, epoch, step), with nothing to save but those.

The order of an epoch is a Philox permutation keyed by (seed, epoch); a batch is a slice of it.
The last clips of an epoch that do not fill a batch are left out, so that all batches are equal.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Position(NamedTuple):
    """Where training stands: batch `step` of `epoch`, both from 0."""

    epoch: int
    step: int


def epoch_order(seed: int, epoch: int, entries: int) -> np.ndarray:
    """Permutation of range(entries) for one epoch: integers, length `entries`."""
    if seed < 0 or epoch < 0:
        raise ValueError(f"seed {seed} and epoch {epoch} must not be negative")
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = np.arange(entries, dtype=np.int32 if entries < 2**31 else np.int64)
    generator.shuffle(order)
    return order


def steps_per_epoch(entries: int, batch_size: int) -> int:
    """Full batches in an epoch; ValueError when there is none."""
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    if entries < batch_size:
        raise ValueError(
            f"an epoch of {entries} clips does not fill one batch of {batch_size}; "
            "lower batch_size or add clips"
        )
    return entries // batch_size


def position_of(optimiser_step: int, entries: int, batch_size: int) -> Position:
    """Epoch and batch of a step counted from 0 over the whole training."""
    return Position(*divmod(optimiser_step, steps_per_epoch(entries, batch_size)))


def batch_entries(seed: int, position: Position, entries: int, batch_size: int) -> np.ndarray:
    """The entries, shape (batch_size,), that are read at `position`."""
    if not 0 <= position.step < steps_per_epoch(entries, batch_size):
        raise ValueError(f"{position} lies outside an epoch of {entries} clips")
    start = position.step * batch_size
    return _last_order(seed, position.epoch, entries)[start : start + batch_size]


@lru_cache(maxsize=1)
def _last_order(seed: int, epoch: int, entries: int) -> np.ndarray:
    """The order of the epoch in progress, kept because every step of it takes a slice."""
    order = epoch_order(seed, epoch, entries)
    order.flags.writeable = False
    return order
