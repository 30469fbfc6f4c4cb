import pytest
import torch
import torch.nn.functional as F
from torch import nn

from visemix.config.model import Recogniser
from visemix.models.front_end import FrontEnd, Stem, temporal_shift


def straightforward_stem(stem: Stem, x: torch.Tensor) -> torch.Tensor:
    """The stem as it is usually written: Conv3d, BatchNorm3d, swish, MaxPool3d."""
    y = stem.conv(x[:, None])
    norm = nn.BatchNorm3d(y.shape[1]).train(stem.training)
    norm.load_state_dict(stem.norm.state_dict())
    y = norm(y)
    return F.max_pool3d(y * torch.sigmoid(y), (1, 3, 3), (1, 2, 2), (0, 1, 1))


@pytest.mark.parametrize("training", [True, False])
def test_stem_equals_the_3d_convolution_in_values_and_gradients(training):
    torch.manual_seed(0)
    stem = Stem(6).train(training)
    x = torch.randn(2, 7, 20, 20)
    found = stem(x).unflatten(0, (2, 7)).transpose(1, 2)
    expected = straightforward_stem(stem, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weights = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((y * weights).sum(), stem.conv.weight)[0] for y in (found, expected)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


def test_shift_moves_channels_by_one_frame_within_each_clip():
    batch, frames, channels = 2, 4, 6
    x = torch.arange(batch * frames * channels, dtype=torch.float32)
    x = x.view(batch, frames, channels, 1, 1)
    found = temporal_shift(x.flatten(0, 1), frames, 2).view(batch, frames, channels)
    expected = torch.zeros(batch, frames, channels)
    for b in range(batch):
        for t in range(frames):
            for c in range(channels):
                source = t + 1 if c < 2 else t - 1 if c < 4 else t
                if 0 <= source < frames:
                    expected[b, t, c] = x[b, source, c, 0, 0]
    assert torch.equal(found, expected)


@pytest.mark.parametrize("pooling", ["average", "conv3d"])
@pytest.mark.parametrize("size", [32, 44])
def test_shapes_and_the_reach_in_time(pooling, size):
    torch.manual_seed(0)
    x = torch.randn(1, 15, size, size)
    changed = x.clone()
    changed[:, 7] += 1

    def reach(*shift):
        config = Recogniser(
            n_words=2, input_size=size, width=8, temporal_shift=shift, pooling=pooling
        )
        model = FrontEnd(config).eval()
        y = model(x)
        assert y.shape == (1, 64, 15)
        return ((y - model(changed)).abs().sum((0, 1)) > 1e-6).sum().item()

    # Five frames of the stem, two more of the pooling convolution, two for each shifting block.
    more = 2 if pooling == "conv3d" else 0
    assert reach(0, 0, 0, 0) == 5 + more
    assert reach(0, 0.25, 0, 0) == 9 + more
    assert reach(0, 0, 0.25, 0.125) == 13 + more


def test_pooling_convolution_equals_conv3d():
    torch.manual_seed(0)
    model = FrontEnd(Recogniser(n_words=2, input_size=44, width=4, pooling="conv3d"))
    x = torch.randn(2 * 5, 32, 2, 2)
    y = model.pool.conv(x.unflatten(0, (2, 5)).transpose(1, 2)).flatten(2)
    torch.testing.assert_close(model.pool(x, 5), model.pool.norm(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"pooling": "max"}, {"temporal_shift": [0.6, 0, 0, 0]}])
def test_senseless_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recogniser(n_words=2, **wrong)
