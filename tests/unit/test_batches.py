import threading

import numpy as np
import pytest
from toy_clips import WORDS, make_toy

from visemix.clips.batches import labelled_clips, read_ahead
from visemix.clips.shards import open_crops


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    real = open_crops(make_toy(folder / "real", 20, seed=1))
    return [real, open_crops(make_toy(folder / "synthetic", 11, seed=2))]


def test_batches_of_two_sources_hold_the_right_clips(sets):
    clips = labelled_clips(sets, WORDS)
    rng = np.random.default_rng(0)
    plan = []
    for number in range(7):
        source = np.sort(rng.integers(0, 2, 5 if number < 6 else 3))
        row = np.array([rng.integers(0, len(sets[one])) for one in source])
        plan.append((source, row))
    taken = 0
    with read_ahead(clips, lambda number: plan[number], range(2, 7), 5) as stream:
        for batch in stream:
            source, row = plan[batch.number]
            assert batch.number == 2 + taken
            for clip, label, one, at in zip(batch.clips, batch.labels, source, row, strict=True):
                assert np.array_equal(clip.numpy(), sets[one].read([at])[0])
                assert WORDS[label] == sets[one].index["label"][at]
            taken += 1
    assert taken == 5


def test_leaving_early_ends_the_thread_and_buffers_are_reused(sets):
    clips = labelled_clips(sets, WORDS)
    plan = (np.zeros(4, np.int64), np.arange(4))
    addresses = set()
    with read_ahead(clips, lambda _: plan, range(1000), 4) as stream:
        for batch, _ in zip(stream, range(20), strict=False):
            addresses.add(batch.clips.data_ptr())
    assert len(addresses) <= 3
    assert "read-ahead" not in [thread.name for thread in threading.enumerate()]


def test_errors_of_the_reading_thread_arrive(sets):
    clips = labelled_clips(sets, WORDS)
    with (
        pytest.raises(IndexError, match="99"),
        read_ahead(clips, lambda _: (np.zeros(1, int), np.array([99])), range(3), 1) as stream,
    ):
        next(stream)


def test_unknown_words_and_unequal_lengths_are_refused(sets, tmp_path):
    with pytest.raises(ValueError, match="'CHILD'"):
        labelled_clips(sets, WORDS[:2])
    longer = open_crops(make_toy(tmp_path / "longer", 4, frames=7))
    with pytest.raises(ValueError, match=r"\[6, 7\] frames"):
        labelled_clips([sets[0], longer], WORDS)
    empty = open_crops(make_toy(tmp_path / "empty", 0, rejected=2))
    with pytest.raises(ValueError, match="no accepted clip"):
        labelled_clips([empty], WORDS)
