"""Batches of the trained generators are read ahead, and only small splits are remembered."""

import threading

import numpy as np
import pytest
from tests.helpers.toy_talkers import ToyTalkers

from visemix.generators import speech_windows
from visemix.generators.paired_clips import read_ahead
from visemix.generators.speech_windows import spectra_of


def readers() -> int:
    return sum(thread.name.startswith("read-ahead") for thread in threading.enumerate())


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_every_batch_comes_once_and_in_order(count):
    with read_ahead(lambda number: number * 10, range(3, 3 + count)) as batches:
        assert list(batches) == [number * 10 for number in range(3, 3 + count)]
    assert not readers()


def test_the_next_batch_is_read_while_the_last_one_is_in_use_and_no_more():
    read, second = [], threading.Event()

    def reader(number: int) -> int:
        read.append((number, threading.current_thread() is threading.main_thread()))
        if number == 1:
            second.set()
        return number

    with read_ahead(reader, range(100)) as batches:
        assert next(batches) == 0
        assert second.wait(60)
        assert read == [(0, False), (1, False)]
    assert not readers()


def test_an_error_is_raised_where_its_batch_is_taken():
    def reader(number: int) -> int:
        if number == 2:
            raise OSError("the shard is gone")
        return number

    with pytest.raises(OSError, match="the shard is gone"), read_ahead(reader, range(9)) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        next(batches)
    assert not readers()


def test_whoever_leaves_in_the_middle_leaves_no_thread():
    with pytest.raises(SystemExit), read_ahead(lambda number: number, range(9)) as batches:
        next(batches)
        raise SystemExit(75)
    assert not readers()


class Counting(ToyTalkers):
    read = 0

    def sounds(self, rows) -> np.ndarray:
        self.read += len(rows)
        return super().sounds(rows)


@pytest.mark.parametrize(("kept", "read"), [(3, 3), (2, 6)])
def test_spectrograms_of_a_split_are_remembered_all_or_none(kept, read, monkeypatch):
    monkeypatch.setattr(speech_windows, "KEPT", kept)
    data = Counting(3)
    spectra = spectra_of(data)
    first, again = ([spectra(row) for row in range(3)] for _ in range(2))
    assert all(np.array_equal(*both) for both in zip(first, again, strict=True))
    assert data.read == read
