import pytest
import torch
import torch.nn.functional as F

from visemix.config.model import Model
from visemix.models.dctcn import DCTCN, DenseLayer

SMALL = Model(blocks=2, growth=12, reduced=16, dropout=0.0, squeeze_excitation=4)


def branch_by_branch(layer: DenseLayer, x: torch.Tensor, kernels) -> torch.Tensor:
    """A dense layer as the paper draws it: each branch for itself."""

    def stage(part, inputs):
        outputs = []
        for branch, kernel, value in zip(part.branches, kernels, inputs, strict=True):
            padding = (kernel - 1) // 2 * part.dilation
            outputs.append(F.conv1d(value, branch.weight, branch.bias, 1, padding, part.dilation))
        y = part.norm(torch.cat(outputs, 1))
        return y * torch.sigmoid(y)

    gated = []
    for squeeze, excite in zip(layer.excite.squeeze, layer.excite.excite, strict=True):
        hidden = x.mean(2) @ squeeze
        gate = torch.sigmoid((hidden * torch.sigmoid(hidden)) @ excite)
        gated.append(x * gate[:, :, None])
    y = stage(layer.first, gated)
    y = stage(layer.second, [y] * len(kernels)) + layer.shortcut(x)
    return y * torch.sigmoid(y)


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_merged_branches_equal_separate_ones(dilation):
    torch.manual_seed(0)
    layer = DenseLayer(16, dilation, SMALL)
    x = torch.randn(3, 16, 11, requires_grad=True)
    found, expected = layer(x), branch_by_branch(layer, x, SMALL.kernels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    weight = layer.first.branches[0].weight
    gradients = [torch.autograd.grad(y.square().sum(), (x, weight)) for y in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def test_shapes_and_time_is_kept():
    model = DCTCN(24, SMALL)
    y = model(torch.randn(2, 24, 29))
    assert y.shape == (2, 29, model.out_channels) == (2, 29, 16 + 3 * 12)


def test_squeeze_excitation_can_be_left_out():
    without = Model(blocks=1, layers=1, dilations=[1], growth=12, reduced=16, squeeze_excitation=0)
    assert DCTCN(24, without)(torch.randn(2, 24, 9)).shape == (2, 9, 28)


@pytest.mark.parametrize(
    "wrong", [{"growth": 100}, {"layers": 4}, {"blocks": 0}, {"kernels": [3, 4]}]
)
def test_senseless_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Model(**wrong)
