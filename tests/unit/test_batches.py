import threading

import numpy as np
import pytest
import torch
from tests.helpers.toy_clips import WORDS, make_toy

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


def test_all_of_a_batch_lies_in_one_block_and_is_what_was_given(sets):
    """One copy takes a batch to a GPU: nothing of it lies elsewhere."""
    clips = labelled_clips(sets, WORDS)
    plan = (np.zeros(4, np.int64), np.arange(4))

    def beside(number):
        odd = torch.arange(3, dtype=torch.uint8) + number  # what follows it must be aligned
        return {"odd": odd, "real": torch.full((2, 3), number / 7), "none": torch.empty(0)}

    with read_ahead(clips, lambda _: plan, range(5), 4, beside=beside) as stream:
        for batch in stream:
            given = beside(batch.number)
            assert batch.beside.keys() == given.keys()
            for name, value in given.items():
                assert batch.beside[name].dtype == value.dtype
                assert torch.equal(batch.beside[name], value)
            assert np.array_equal(batch.clips.numpy(), sets[0].read(range(4)))
            parts = [batch.clips, batch.labels, *batch.beside.values()]
            assert len({part.untyped_storage().data_ptr() for part in parts}) == 1


def test_a_batch_larger_than_those_before_gets_a_larger_block(sets):
    clips = labelled_clips(sets, WORDS)
    sizes = [1, 4, 2, 4, 1, 3]
    plan = [(np.zeros(size, np.int64), np.arange(size)) for size in sizes]

    def beside(number):
        return {"long": torch.full((number * 1000,), number)}

    with read_ahead(clips, lambda n: plan[n], range(6), 4, beside=beside) as stream:
        for batch, size in zip(stream, sizes, strict=True):
            assert np.array_equal(batch.clips.numpy(), sets[0].read(range(size)))
            assert batch.beside["long"].tolist() == [batch.number] * 1000 * batch.number


def test_the_thread_works_on_the_gpu_of_its_process(sets, monkeypatch):
    """A new thread is on the first GPU, whichever of them the process has chosen."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "set_device", lambda gpu: chosen.append((threading.current_thread().name, gpu))
    )

    def entries(number):
        raise IndexError("nothing is read")

    for device, gpu in (("cuda", 3), ("cuda:1", 1)):
        with (
            pytest.raises(IndexError, match="nothing is read"),
            read_ahead(labelled_clips(sets, WORDS), entries, range(1), 1, device) as stream,
        ):
            next(stream)
        assert chosen.pop() == ("read-ahead", gpu)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_batches_on_a_gpu_are_those_of_the_cpu(sets):
    clips = labelled_clips(sets, WORDS)
    rng = np.random.default_rng(0)
    plan = [(np.zeros(4, np.int64), rng.integers(0, 20, 4)) for _ in range(12)]

    def beside(number):
        return {"odd": torch.arange(number % 3 + 1, dtype=torch.uint8), "real": torch.ones(4, 2)}

    def taken(device):
        with read_ahead(clips, lambda n: plan[n], range(12), 4, device, beside) as stream:
            return [
                [part.clone().cpu() for part in (b.clips, b.labels, *b.beside.values())]
                for b in stream
            ]

    for one, other in zip(taken("cpu"), taken("cuda"), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
