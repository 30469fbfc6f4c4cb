"""The second stage's network: a small U-Net that removes noise from the change of a face.

AniPortrait's renderer (section 3.2) is the U-Net of Stable Diffusion 1.5 with a second one for the
reference picture, a guider that adds the drawn landmarks, and motion modules. At 96 x 96 px one
U-Net (Ronneberger et al., arXiv 1505.04597; with times as in Ho et al., arXiv 2006.11239, appendix
B) that sees all of this as channels is enough, and pictures need no autoencoder: pixels of `patch`
by `patch` are the channels of one place. diffusers would give the same network
and sampler; measured, it takes 61 MB and three CPU-seconds to import, for two hundred lines.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config import generators as sections

MESH_CHANNELS = 3
GROUPS = 4  # of the normalisation; the config's channels are multiples of it


class UNet(nn.Module):
    """Predicts a change (B, 1, size, size) from a noisy one; see diffusion.

    forward(noisy (B, 1, size, size), times (B,) in 0..1, reference (B, 1, size, size), mesh (B, 3,
    size, size)); reference and mesh in [-1, 1], zeros for no mesh. The last layer starts at zero:
    untrained, it repeats the reference.
    """

    def __init__(self, config: sections.Aniportrait):
        super().__init__()
        self.config = config
        finest, places = config.channels[0], config.patch**2
        width = 4 * finest
        self.time = nn.Sequential(nn.Linear(finest, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d((2 + MESH_CHANNELS) * places, finest, 3, padding=1)
        down: list[nn.ModuleList] = []
        skips = [finest]
        for before, after in pairwise((finest, *config.channels)):
            level = nn.ModuleList()
            if down:
                level.append(nn.Conv2d(before, before, 3, stride=2, padding=1))
                skips.append(before)
            for i in range(config.blocks):
                level.append(Block(before if i == 0 else after, after, width))
                skips.append(after)
            down.append(level)
        self.down, self.up = nn.ModuleList(down), nn.ModuleList()
        coarsest = now = config.channels[-1]
        self.middle = Block(coarsest, coarsest, width)
        for number, after in reversed(list(enumerate(config.channels))):
            level = nn.ModuleList()
            for _ in range(config.blocks + 1):
                level.append(Block(now + skips.pop(), after, width))
                now = after
            if number:
                level.append(nn.Conv2d(after, after, 3, padding=1))
            self.up.append(level)
        last = nn.Conv2d(finest, places, 3, padding=1)
        self.leave = nn.Sequential(nn.GroupNorm(GROUPS, finest), nn.SiLU(), last)
        for values in last.parameters():
            nn.init.zeros_(values)

    def forward(self, noisy, times, reference, mesh) -> torch.Tensor:
        seen = torch.cat((noisy, reference, mesh), 1)
        now = self.enter(F.pixel_unshuffle(seen, self.config.patch))
        time = self.time(waves(times, self.config.channels[0]))
        skips = [now]
        for level in self.down:
            for layer in level.children():
                now = layer(now, time) if isinstance(layer, Block) else layer(now)
                skips.append(now)
        now = self.middle(now, time)
        for level in self.up:
            for layer in level.children():
                if isinstance(layer, Block):
                    now = layer(torch.cat((now, skips.pop()), 1), time)
                else:
                    now = layer(F.interpolate(now, scale_factor=2.0, mode="nearest"))
        return F.pixel_shuffle(self.leave(now), self.config.patch)


class Block(nn.Module):
    """Residual block of two convolutions; the time scales and shifts the features between them."""

    def __init__(self, inputs: int, outputs: int, time: int):
        super().__init__()
        self.before = nn.GroupNorm(_groups(inputs), inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, 2 * outputs)
        self.between = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.around = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        scale, shift = self.time(F.silu(time))[..., None, None].chunk(2, 1)
        inner = self.between(self.first(F.silu(self.before(x)))) * (1 + scale) + shift
        return self.around(x) + self.second(F.silu(inner))


def waves(times: torch.Tensor, length: int) -> torch.Tensor:
    """Sines and cosines (B, length) of times (B,) in 0..1, slow to fast."""
    speeds = torch.exp(torch.linspace(0, math.log(1000), length // 2, device=times.device))
    angles = times[:, None] * speeds
    return torch.cat((angles.sin(), angles.cos()), 1)


def _groups(channels: int) -> int:
    return GROUPS if channels % GROUPS == 0 else 1
