import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.clips.sampler import (
    Position,
    batch_entries,
    epoch_order,
    position_of,
    steps_per_epoch,
)


@given(st.integers(0, 2**40), st.integers(0, 50), st.integers(1, 300))
def test_an_epoch_is_a_permutation_fixed_by_seed_and_epoch(seed, epoch, entries):
    order = epoch_order(seed, epoch, entries)
    assert (np.sort(order) == np.arange(entries)).all()
    assert (order == epoch_order(seed, epoch, entries)).all()


def test_epochs_and_seeds_differ():
    orders = [epoch_order(seed, epoch, 100) for seed in (0, 1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 4


@given(st.integers(1, 200), st.integers(1, 40))
def test_batches_of_an_epoch_do_not_overlap_and_leave_out_less_than_one_batch(entries, batch_size):
    if entries < batch_size:
        with pytest.raises(ValueError, match="lower batch_size"):
            steps_per_epoch(entries, batch_size)
        return
    steps = steps_per_epoch(entries, batch_size)
    drawn = [batch_entries(5, Position(2, k), entries, batch_size) for k in range(steps)]
    assert all(len(batch) == batch_size for batch in drawn)
    assert len(set(np.concatenate(drawn).tolist())) == steps * batch_size > entries - batch_size


def test_a_step_alone_says_where_training_stands():
    assert position_of(0, 10, 3) == Position(0, 0)
    assert position_of(7, 10, 3) == Position(2, 1)
    with pytest.raises(ValueError):
        batch_entries(0, Position(0, 3), 10, 3)


def test_the_order_is_the_same_on_every_machine():
    assert epoch_order(1, 2, 8).tolist() == [7, 0, 5, 4, 6, 2, 3, 1]
