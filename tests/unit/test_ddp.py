"""Several processes on CPUs train what one does, stop together, and come through a kill."""

import re
import signal
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tests.helpers import toy_training
from tests.helpers.toy_clips import WORDS, clips_of
from tests.helpers.toy_words import MODEL, TRAINING, VISEMES, make_data, replace

from visemix.clips.augmentation import augment, draw, mix, part_of
from visemix.config.training import Training
from visemix.training.checkpoints import EXIT_STOPPED, load_checkpoint, save_checkpoint
from visemix.training.launch import launch
from visemix.training.words import train

# Soft attention: a hard choice of the frame could turn another rounding into another frame.
SOFT = replace(MODEL, gamma=4.0)
ONE = replace(TRAINING, steps=20, validate_every=10)
TWO = replace(ONE, processes=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("words") / "data")


def run(folder: Path, data: dict, training: Training) -> dict:
    return launch(train, training.processes, run_folder=folder, words=WORDS, seed=0,
                  viseme_targets=VISEMES, config=SOFT, training=training, **data)  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    """A training of two processes that nobody stopped."""
    folder = tmp_path_factory.mktemp("two") / "undisturbed"
    return folder, run(folder, data, TWO)


def test_two_processes_train_what_one_does(undisturbed, data, tmp_path):
    folder, summary = undisturbed
    alone = run(tmp_path / "one", data, ONE)
    assert (alone["processes"], summary["processes"]) == (1, 2)
    assert alone["identity"] != summary["identity"]
    one, two = (load_file(run / "model.safetensors") for run in (tmp_path / "one", folder))
    assert one.keys() == two.keys()
    # A bias before batch normalisation changes nothing but the mean that is taken away again. Its
    # gradient is a sum of roundings about 0, and Adam makes a full step of each.
    free = re.compile(r"branches\.\d\.bias|(first|second)\.norm\.running_mean")
    for name in (name for name in one if not free.search(name)):
        # after one step all agree to 2e-4; twenty let roundings grow to 0.2% of a running variance
        torch.testing.assert_close(one[name], two[name], rtol=1e-2, atol=1e-3)
    one, two = (pd.read_csv(run / "history.csv") for run in (tmp_path / "one", folder))
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 4, 6]), st.sampled_from([0.0, 0.4]))
def test_the_parts_of_a_batch_make_up_the_whole(step, processes, mixup):
    training = Training(mixup=mixup)
    clips = clips_of(12, frames=2)
    whole = draw(training, 0, step, clips.shape[:3])
    values = torch.randn(12, 5)
    parts = [part_of(whole, rank, processes) for rank in range(processes)]
    assert all(len(positions) <= 2 * 12 // processes for positions, _ in parts)
    mixed = torch.cat([mix(values[positions], part) for positions, part in parts])
    assert torch.equal(mixed, mix(values, whole))
    frames = torch.cat([augment(clips[at], part, False, 8) for at, part in parts])
    torch.testing.assert_close(frames, augment(clips, whole, False, 8))


def test_sigterm_stops_all_with_one_checkpoint_and_the_next_start_goes_on(tmp_path):
    toy_training.make_data(tmp_path)
    toy_training.run(tmp_path, tmp_path / "undisturbed", processes=2)
    folder = tmp_path / "stopped"
    steps = []
    for target in ("the launcher", "one of the processes"):
        child = toy_training.start(tmp_path, folder, processes=2)
        ranks = toy_training.ranks_of(child)
        (child if target == "the launcher" else ranks[1]).send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=300)
        assert child.returncode == EXIT_STOPPED, errors
        assert errors.count("stopped on request") == 1
        assert not psutil.wait_procs(ranks, timeout=60)[1]
        assert not (folder / "training.json").exists()
        steps.append(torch.load(toy_training.checkpoint_of(folder), weights_only=True)["step"])
    summary = toy_training.run(tmp_path, folder, processes=2)
    assert 0 < steps[0] < steps[1] == summary["resumed_at_step"]
    assert toy_training.results(folder) == toy_training.results(tmp_path / "undisturbed")


def test_the_checkpoint_of_another_number_of_processes_is_refused_and_kept(tmp_path):
    save_checkpoint(tmp_path, "a" * 64, {"step": 7, "processes": 4})
    with pytest.raises(ValueError, match=r"by 4 processes, this training has 2; set training.proc"):
        load_checkpoint(tmp_path, "b" * 64, torch.device("cpu"), 2)
    assert load_checkpoint(tmp_path, "a" * 64, torch.device("cpu"), 4)["step"] == 7


def test_what_cannot_be_shared_or_was_not_launched_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="batch_size 8 cannot be shared by 3 processes"):
        replace(TRAINING, processes=3)
    with pytest.raises(ValueError, match=r"training.processes is 2, but 1 train here"):
        launch(train, 1, run_folder=tmp_path, words=WORDS, seed=0, viseme_targets=VISEMES,
               config=SOFT, training=TWO, **data)  # fmt: skip
