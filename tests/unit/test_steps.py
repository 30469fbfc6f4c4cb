"""The loop of all trainings: a stop does not show, whatever a step does."""

import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from visemix.training.checkpoints import EXIT_STOPPED, load_checkpoint
from visemix.training.steps import cosine_rate, run_steps, set_rate

CPU = torch.device("cpu")
STEPS = 30


class Toy:
    """A training with all that a sentence training needs: batches of unequal length, a schedule,
    clipped gradients, a frozen group, an average of the weights, and a note that a validation
    leaves for the steps after it."""

    def __init__(self, stop_at: int | None = None):
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 1)
        network = nn.Sequential(self.body, nn.Tanh(), self.head)
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9))
        self.parts = {"network": network, "optimiser": self.optimiser, "average": average}
        self.stop_at, self.lengths = stop_at, []

    def step(self, number, batch, notes):
        self.body.requires_grad_(number >= 10)  # frozen for a while
        set_rate(self.optimiser, cosine_rate(0.1, number, STEPS, warm_up=5))
        rng = torch.Generator().manual_seed(number)
        x = torch.randn(1 + batch % 3, 4, generator=rng)
        self.lengths.append(len(x))
        loss = F.mse_loss(self.parts["network"](x), x.sum(1, keepdim=True))
        loss = loss * notes.get("weight", 1.0)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parts["network"].parameters(), 1.0)
        self.optimiser.step()
        self.parts["average"].update_parameters(self.parts["network"])
        if number + 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"loss": loss}

    def validate(self, done, notes):
        notes["weight"] = 1.0 + done / STEPS
        notes["best"] = {"step": done, "head": self.head.weight.detach().clone()}
        return {"norm": float(self.head.weight.detach().norm())}

    def run(self, folder, **changes):
        options = {"steps": STEPS, "validate_every": 8, "checkpoint_seconds": 1e9}
        options |= {"folder": folder, "identity": "a" * 64, "device": CPU}
        return run_steps(self.parts, self.step, self.validate, **options | changes)


def weights(toy):
    return {
        f"{name}.{key}": value
        for name, part in toy.parts.items()
        if isinstance(part, nn.Module)
        for key, value in part.state_dict().items()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    toy = Toy()
    return toy, toy.run(tmp_path_factory.mktemp("finished"))


@pytest.mark.parametrize("stop_at", [1, 8, 9, 10, 23, 29])
def test_a_stopped_training_ends_in_the_same_bits(finished, tmp_path, stop_at):
    with pytest.raises(SystemExit) as stopped:
        Toy(stop_at).run(tmp_path)
    assert stopped.value.code == EXIT_STOPPED
    again = Toy()
    state = again.run(tmp_path)
    whole, expected = finished
    assert state["resumed_at_step"] == stop_at
    assert len(again.lengths) == STEPS - stop_at
    assert state["history"] == expected["history"]
    assert state["notes"]["best"]["head"].equal(expected["notes"]["best"]["head"])
    for name, value in weights(whole).items():
        assert value.equal(weights(again)[name]), name


def test_a_kill_between_checkpoints_ends_in_the_same_bits(finished, tmp_path):
    class Killed(Exception):
        pass

    toy = Toy()

    def step(number, batch, notes):
        if number == 20:
            raise Killed
        return Toy.step(toy, number, batch, notes)

    toy.step = step
    with pytest.raises(Killed):
        toy.run(tmp_path, checkpoint_seconds=0)
    again = Toy()
    assert again.run(tmp_path)["resumed_at_step"] == 20
    assert all(value.equal(weights(again)[name]) for name, value in weights(finished[0]).items())


def test_a_frozen_group_stays_until_its_step():
    untouched = Toy().body.weight.detach().clone()
    toy = Toy()
    for number in range(10):
        toy.step(number, number, {})
    assert toy.body.weight.equal(untouched)
    toy.step(10, 10, {})
    assert not toy.body.weight.equal(untouched)


def test_the_history_has_a_row_a_validation(finished):
    _, state = finished
    assert [row["step"] for row in state["history"]] == [8, 16, 24, 30]
    assert list(state["history"][0]) == ["step", "loss", "norm"]


def test_another_identity_starts_afresh(tmp_path):
    with pytest.raises(SystemExit):
        Toy(10).run(tmp_path)
    assert Toy().run(tmp_path, identity="b" * 64)["resumed_at_step"] == 0


def test_a_checkpoint_is_left_for_whoever_saves_the_result(tmp_path):
    Toy().run(tmp_path, checkpoint_seconds=0)
    assert load_checkpoint(tmp_path, "a" * 64, CPU)["step"] == STEPS


def test_batches_are_asked_for_the_steps_that_are_left(tmp_path):
    with pytest.raises(SystemExit):
        Toy(10).run(tmp_path)
    asked = []

    class Stream:
        def __init__(self, numbers):
            asked.append(numbers)

        def __enter__(self):
            return iter([number + 1 for number in asked[0]])

        def __exit__(self, *_):
            asked.append("left")

    toy = Toy()
    toy.run(tmp_path, batches=Stream)
    assert asked == [range(10, STEPS), "left"]
    assert toy.lengths == [1 + (number + 1) % 3 for number in range(10, STEPS)]


def test_a_loss_that_is_not_finite_stops_with_a_remedy(tmp_path):
    toy = Toy()
    toy.validate = lambda done, notes: {"held_out": float("nan")}
    with pytest.raises(FloatingPointError, match="at step 8 held_out is nan; lower the learning"):
        toy.run(tmp_path)


def test_the_rate_warms_up_and_falls_to_nothing():
    rates = [cosine_rate(1.0, step, 100, warm_up=10) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
