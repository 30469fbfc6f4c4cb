"""Every training: killed, stopped, started again, it ends in the bytes of one left alone."""

import multiprocessing
import signal

import pytest
import torch
from tests.helpers.trainings import TRAININGS, disturbed

from visemix.training.checkpoints import EXIT_STOPPED, FILE_NAME

# A process that has imported all of it forks one that is killed, in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.helpers.trainings", "torch", "pandas", "visemix.media"])


def exit_code(*arguments) -> int:
    child = CONTEXT.Process(target=disturbed, args=arguments)
    child.start()
    child.join()
    return child.exitcode


@pytest.fixture(scope="module", params=TRAININGS)
def whole(request, tmp_path_factory):
    """(name, folder) of a training that was left alone."""
    folder = tmp_path_factory.mktemp(request.param) / "whole"
    TRAININGS[request.param].run(folder, 0)
    return request.param, folder


def test_killed_and_stopped_it_ends_in_the_same_bytes(whole):
    name, reference = whole
    training, folder = TRAININGS[name], reference.with_name("stopped")
    assert exit_code(name, folder, signal.SIGKILL, 3) == -signal.SIGKILL
    assert exit_code(name, folder, signal.SIGTERM, 5) == EXIT_STOPPED
    assert not (folder / training.record).exists()
    torch.randn(3)  # the global state of torch must not matter
    record = training.run(folder, 0)
    assert record["resumed_at_step"] == 6  # it makes the step after the signal
    assert (folder / training.record).exists()
    assert not list(folder.parent.rglob(FILE_NAME))
    for file in training.files:
        assert (folder / file).read_bytes() == (reference / file).read_bytes()


def test_another_seed_gives_other_bytes(whole):
    name, reference = whole
    training, folder = TRAININGS[name], reference.with_name("other")
    training.run(folder, 1)
    for file in training.files:
        assert (folder / file).read_bytes() != (reference / file).read_bytes()
