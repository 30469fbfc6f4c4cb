"""Densely connected temporal convolutional network (DC-TCN), the temporal back-end.

Paper: Ma, Wang, Shen, Petridis & Pantic, "Lip-reading with densely connected temporal
convolutional networks" (WACV 2021, arXiv 2009.14233), in the form of the published swish model of
"Training strategies for improved lip-reading" (arXiv 2209.01383): transition in, four dense blocks
of three layers, each layer three parallel kernel sizes twice with squeeze-and-excitation before
the first, 1x1 transitions between the blocks, batch normalisation at the end.

One difference from the published code: it pads each convolution by (k - 1) d on both sides,
normalises, then cuts half of the padding away ("chomp"), so that its batch statistics see frames
beyond the clip. Here the convolutions pad by (k - 1) d / 2 and normalise over the clip's frames
alone. Parameters and evaluation-mode outputs are the same; training statistics are not.

The parallel branches run as one convolution: their kernels are zero-padded to the longest.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config.model import Model
from visemix.models.front_end import initialise_convolutions
from visemix.models.whole_batch import dropout


class DCTCN(nn.Module):
    """(B, in_channels, T) -> (B, T, out_channels): the features X of the LipGen equations."""

    def __init__(self, in_channels: int, config: Model):
        super().__init__()
        # The first activation is a PReLU also in the published swish model.
        self.transition0 = nn.Sequential(
            nn.Conv1d(in_channels, config.reduced, 1, bias=False),
            nn.BatchNorm1d(config.reduced),
            nn.PReLU(config.reduced),
        )
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for block in range(config.blocks):
            channels = config.reduced
            layers = nn.ModuleList()
            self.blocks.append(layers)
            for dilation in config.dilations:
                layers.append(DenseLayer(channels, dilation, config))
                channels += config.growth
            if block + 1 < config.blocks:
                self.transitions.append(
                    nn.Sequential(
                        nn.Conv1d(channels, config.reduced, 1, bias=False),
                        nn.BatchNorm1d(config.reduced),
                        nn.SiLU(),
                    )
                )
        self.norm = nn.BatchNorm1d(channels)
        self.out_channels = channels
        initialise_convolutions(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.transition0(x)  # (B, reduced, T)
        for number, block in enumerate(self.blocks):
            for layer in block.children():
                x = torch.cat((x, layer(x)), dim=1)  # (B, reduced + i growth, T)
            if number < len(self.transitions):
                x = self.transitions[number](x)  # (B, reduced, T)
        return self.norm(x).transpose(1, 2)


class DenseLayer(nn.Module):
    """(B, C, T) -> (B, growth, T)."""

    def __init__(self, channels: int, dilation: int, config: Model):
        super().__init__()
        branches, growth = len(config.kernels), config.growth
        self.excite = None
        if config.squeeze_excitation:
            self.excite = SqueezeExcitation(channels, branches, config.squeeze_excitation)
        own_input = self.excite is not None
        self.first = ParallelConvolution(channels, growth, config.kernels, dilation, own_input)
        self.second = ParallelConvolution(growth, growth, config.kernels, dilation, False)
        self.shortcut = nn.Conv1d(channels, growth, 1)
        self.dropout = config.dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = x if self.excite is None else self.excite(x)
        out = dropout(self.first(out), self.dropout, self.training)
        out = dropout(self.second(out), self.dropout, self.training)
        return F.silu(out + self.shortcut(x))


class ParallelConvolution(nn.Module):
    """Convolutions of several kernel sizes side by side, batch normalisation, swish.

    Args:
        own_input: each branch has its own input, (B, branches * in_channels, T); otherwise all
            read the same (B, in_channels, T).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernels: list[int],
        dilation: int,
        own_input: bool,
    ):
        super().__init__()
        each = out_channels // len(kernels)
        self.branches = nn.ModuleList(
            nn.Conv1d(in_channels, each, kernel, dilation=dilation) for kernel in kernels
        )
        self.norm = nn.BatchNorm1d(out_channels)
        self.groups = len(kernels) if own_input else 1
        self.dilation = dilation
        self.longest = max(kernels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights, biases = (
            [cast(torch.Tensor, getattr(branch, name)) for branch in self.branches]
            for name in ("weight", "bias")
        )
        weight = torch.cat([self._to_longest(weight) for weight in weights])
        bias = torch.cat(biases)
        padding = (self.longest - 1) // 2 * self.dilation
        x = F.conv1d(x, weight, bias, 1, padding, self.dilation, self.groups)
        return F.silu(self.norm(x))

    def _to_longest(self, weight: torch.Tensor) -> torch.Tensor:
        missing = (self.longest - weight.shape[-1]) // 2
        return F.pad(weight, (missing, missing)) if missing else weight


class SqueezeExcitation(nn.Module):
    """One squeeze-and-excitation gate for each branch (Hu et al., arXiv 1709.01507), with swish.

    (B, C, T) -> (B, branches * C, T): the input once for each branch, its channels weighted.
    """

    def __init__(self, channels: int, branches: int, ratio: int):
        super().__init__()
        hidden = max(1, channels // ratio)
        self.squeeze = nn.Parameter(torch.empty(branches, channels, hidden))
        self.excite = nn.Parameter(torch.empty(branches, hidden, channels))
        nn.init.normal_(self.squeeze, std=(2 / channels) ** 0.5)
        nn.init.normal_(self.excite, std=(2 / hidden) ** 0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(2)  # (B, C)
        gate = F.silu(mean @ self.squeeze)  # (branches, B, hidden)
        gate = torch.sigmoid(gate @ self.excite)  # (branches, B, C)
        return (gate.transpose(0, 1)[..., None] * x[:, None]).flatten(1, 2)
