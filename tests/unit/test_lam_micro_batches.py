"""LAM's micro-batches: less memory, and the step of the whole batch."""

import pytest
import torch
from tests.helpers.toy_speech import ToySpeech

from visemix.config import generators as sections
from visemix.generators.lam.losses import LipReaderLoss
from visemix.generators.lam.model import Lam
from visemix.generators.lam.step import loss_weights, micro_batches, read_batch, update
from visemix.generators.lam.training import make_networks
from visemix.generators.speech_windows import spectra_of

SETTINGS = dict(
    channels=(12, 8), image_code=4, speech_code=12, rotation_code=2, speech_channels=12,
    speech_layers=1, discriminator_channels=2, warp=True, batch_size=8, sampled_frames=2,
    drawn_frames=4, adversarial_start=1, learning_rate=1e-5, sequence_learning_rate=1e-5,
)  # fmt: skip


class Reader(torch.nn.Module):
    """In the place of a lip reader: (B, T, H, W) to features and logits, one clip at a time."""

    def __init__(self):
        super().__init__()
        self.words = torch.nn.Linear(96, 5)

    def _read(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = clips.square().mean(2)
        return features, self.words(features.mean(1))

    forward = LipReaderLoss.forward


def steps(micro_batch: int | None, count: int = 3):
    """Terms of `count` steps, and the networks after them, in double precision.

    Plain gradient descent, because Adam makes steps of rounding where a gradient is 0 in theory.
    """
    training = sections.Lam(**SETTINGS | {"micro_batch": micro_batch})
    torch.manual_seed(0)
    networks = make_networks(training).double()
    for layer in networks["generator"].decoder.out:  # zeros at first: nothing to compare
        torch.nn.init.normal_(layer.weight, std=0.1)
    optimisers = {
        name: torch.optim.SGD(network.parameters(), lr=1.0) for name, network in networks.items()
    }
    vsr, data, terms = Reader().double(), ToySpeech(40), []
    weights = loss_weights(training, "VL")
    for step in range(count):
        batch = read_batch(data, spectra_of(data), training, 0, step, torch.device("cpu"))
        for name in ("real", "speech"):
            batch[name] = batch[name].double()
        terms.append(update(networks, optimisers, batch, training, step, weights, vsr))
    return terms, networks


@pytest.fixture(scope="module")
def whole():
    return steps(None)


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_the_steps_are_those_of_the_whole_batch(whole, micro_batch):
    terms, networks = steps(micro_batch)
    assert set(terms[0]) == {"total", "reconstruction"}
    assert {"image", "discriminator_sequence", "visual", "logits"} < set(terms[1])
    for one, other in zip(terms, whole[0], strict=True):
        assert set(one) == set(other)
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-12)
    expected, start = whole[1].state_dict(), steps(None, 0)[1].state_dict()
    for name, value in networks.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-12)
    moved = {name for name in start if not torch.equal(start[name], expected[name])}
    assert {name.split(".")[0] for name in moved} == {"generator", "image", "sequence"}
    assert any("speech_encoder.norms.0.running_mean" in name for name in moved)
    assert any("image_encoder" in name for name in moved)


@pytest.mark.parametrize(("micro_batch", "largest"), [(3, 3), (None, 8)])
def test_no_more_clips_are_drawn_at_once_than_asked_for(micro_batch, largest, monkeypatch):
    drawn, draw = [], Lam.draw

    def watched(self, first, *rest):
        drawn.append((len(first), torch.is_grad_enabled()))
        return draw(self, first, *rest)

    monkeypatch.setattr(Lam, "draw", watched)
    steps(micro_batch, count=2)
    assert max(count for count, _ in drawn) == largest
    assert sum(count for count, grad in drawn if grad) == 2 * 8
    # discriminators see the clips before the generator's graph is made, if that is not kept
    assert sum(count for count, grad in drawn if not grad) == (8 if micro_batch else 0)


def test_a_batch_is_parted_with_all_that_belongs_to_it():
    batch = {"real": torch.arange(7), "sampled": torch.arange(14).view(7, 2), "rotations": None}
    parts = micro_batches(batch, 3)
    assert [part["real"].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6]]
    assert parts[1]["sampled"].tolist() == [[6, 7], [8, 9], [10, 11]]
    assert all(part["rotations"] is None for part in parts)
    assert len(micro_batches(batch, None)) == len(micro_batches(batch, 7)) == 1
