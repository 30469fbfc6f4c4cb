"""The two discriminators of LAM (SynthVSR, section 3.2); the layers are our choice.

That of frames sees a frame beside the clip's first one, that of sequences the whole clip.
"""

from itertools import pairwise

import torch
from torch import nn

from visemix.generators.lam.model import COARSEST, active, initialise


class ImageDiscriminator(nn.Module):
    """D_img: frames and their clips' first frames, both (N, 96, 96) -> logits (N,), high: real."""

    def __init__(self, channels: int):
        super().__init__()
        widths = [2, *(channels << i for i in range(4))]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.out = nn.Linear(widths[-1] * COARSEST**2, 1)
        initialise(self)

    def forward(self, frames: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        x = torch.stack((first, frames), 1)
        for layer in self.convolutions:
            x = active(layer(x))
        return self.out(x.flatten(1)).squeeze(1)


class SequenceDiscriminator(nn.Module):
    """D_seq: clips (B, T, 96, 96) -> logits (B,), high if real. 3D convolutions, then a GRU."""

    def __init__(self, channels: int):
        super().__init__()
        widths = [1, *(channels << i for i in range(4))]
        self.convolutions = nn.ModuleList(
            nn.Conv3d(a, b, (3, 4, 4), (1, 2, 2), 1) for a, b in pairwise(widths)
        )
        self.gru = nn.GRU(widths[-1], widths[-1], batch_first=True)
        self.out = nn.Linear(widths[-1], 1)
        initialise(self)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = clips[:, None]  # (B, 1, T, 96, 96)
        for layer in self.convolutions:
            x = active(layer(x))
        state = self.gru(x.mean((3, 4)).transpose(1, 2))[1]  # (1, B, C)
        return self.out(state[0]).squeeze(1)
