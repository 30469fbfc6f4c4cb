"""Visual front-end: a spatio-temporal convolution, then ResNet-18 on each frame.

Papers: the 3D-convolution + ResNet front-end of Stafylakis & Tzimiropoulos, "Combining residual
networks with LSTMs for lipreading" (INTERSPEECH 2017), with the swish activation and the ResNet-18
trunk of Ma et al., "Training strategies for improved lip-reading" (arXiv 2209.01383).
Temporal shift: Lin et al., "TSM: temporal shift module" (arXiv 1811.08383), Hao et al. for lip
reading (ICASSP 2021). LipGen builds on cro-TSM (Xiang et al., ICASSP 2024), a shift ratio that
varies along the front-end and a 3D convolution in place of global pooling. The ratios and the
kernel are not published where we could read them: both are parameters here.
"""

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config.model import Recogniser


class FrontEnd(nn.Module):
    """Grey clips (B, T, S, S) -> one vector a frame (B, 8 * width, T).

    Of a stage's temporal_shift, each block shifts that proportion of its channels one frame
    forward, and as many one frame back, before its first convolution (TSM: 1/8). The pooling
    "conv3d" is a dense 3 x h x w convolution over the h x w map of the last stage, without bias,
    with batch normalisation; it alone depends on the input's size.
    """

    def __init__(self, config: Recogniser):
        super().__init__()
        self.stem = Stem(config.width)
        self.blocks = nn.ModuleList()
        channels = config.width
        for stage, proportion in enumerate(config.temporal_shift):
            for block in range(2):
                stride = 2 if stage and not block else 1
                self.blocks.append(BasicBlock(channels, config.width << stage, stride, proportion))
                channels = config.width << stage
        self.out_channels = channels
        self.pool = None
        if config.pooling == "conv3d":
            side = -(-config.input_size // 32)
            self.pool = PoolingConvolution(channels, side)
        initialise_convolutions(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, frames = x.shape[:2]
        x = self.stem(x)  # (B T, width, S/4, S/4)
        for block in self.blocks:
            x = block(x, frames)
        # (B T, 8 width, S/32, S/32)
        if self.pool is not None:
            return self.pool(x, frames)
        return x.mean((2, 3)).view(batch, frames, -1).transpose(1, 2)


class Stem(nn.Module):
    """Conv3d 5x7x7 / 1x2x2, batch normalisation, swish, max-pooling 1x3x3 / 1x2x2.

    The 3D convolution runs as a 2D one whose input channels are the five neighbouring frames: the
    same weights (stored in the 3D shape) and sums, but no 5-D transposition and faster kernels.
    """

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = x.shape[1]
        padded = F.pad(x, (0, 0, 0, 0, 2, 2))
        x = torch.stack([padded[:, i : i + frames] for i in range(5)], dim=-1)  # (B, T, S, S, 5)
        x = x.flatten(0, 1).permute(0, 3, 1, 2)  # (B T, 5, S, S), channels last in memory
        weight = self.conv.weight.squeeze(1).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, weight, stride=2, padding=3)  # (B T, width, S/2, S/2)
        return F.max_pool2d(F.silu(self.norm(x)), 3, 2, 1)  # (B T, width, S/4, S/4)


class BasicBlock(nn.Module):
    """Basic residual block (He et al., arXiv 1512.03385) with swish and a temporal shift."""

    def __init__(self, in_channels: int, channels: int, stride: int, proportion: float):
        super().__init__()
        self.shifted = int(proportion * in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor, frames: int) -> torch.Tensor:
        out = temporal_shift(x, frames, self.shifted) if self.shifted else x
        out = F.silu(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        return F.silu(out + (x if self.downsample is None else self.downsample(x)))


class PoolingConvolution(nn.Module):
    """3D convolution in place of global pooling: (B T, C, h, h) -> (B, C, T)."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, (3, side, side), padding=(1, 0, 0), bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: torch.Tensor, frames: int) -> torch.Tensor:
        x = x.unflatten(0, (-1, frames)).permute(0, 2, 3, 4, 1).flatten(1, 3)  # (B, C h h, T)
        # The map is covered whole, so only time is left to slide along.
        weight = self.conv.weight.transpose(2, 4).transpose(2, 3).flatten(1, 3)  # (C, C h h, 3)
        return self.norm(F.conv1d(x, weight, padding=1))


def temporal_shift(x: torch.Tensor, frames: int, shifted: int) -> torch.Tensor:
    """Move channels along time inside each clip, zeros where a clip begins or ends.

    Args:
        x: (B T, C, H, W) with T = frames.
        shifted: channels [0, shifted) come from the next frame, [shifted, 2 shifted) from the
            frame before, the others stay.
    """
    x = x.permute(0, 2, 3, 1).unflatten(0, (-1, frames))  # (B, T, H, W, C)
    ahead, behind, still = x.split((shifted, shifted, x.shape[-1] - 2 * shifted), dim=-1)
    ahead = F.pad(ahead[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
    behind = F.pad(behind[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
    return torch.cat((ahead, behind, still), dim=-1).flatten(0, 1).permute(0, 3, 1, 2)


def initialise_convolutions(module: nn.Module) -> None:
    """Normal weights with variance 2 / (kernel size * output channels), as the published code."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
