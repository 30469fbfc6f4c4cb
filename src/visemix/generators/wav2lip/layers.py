"""The layers of the generator and of its expert."""

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config import generators as sections


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU; with `residual` the input is added before the ReLU.

    up: transposed convolution that doubles the picture's side.
    """

    def __init__(self, inside, outside, kernel=3, stride=1, padding=1, residual=False, up=False):
        super().__init__()
        self.residual = residual
        self.conv: nn.Module
        if up:
            self.conv = nn.ConvTranspose2d(inside, outside, kernel, stride, padding, stride - 1)
        else:
            self.conv = nn.Conv2d(inside, outside, kernel, stride, padding)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.norm(self.conv(x))
        return F.relu(out + x if self.residual else out)


def residuals(channels: int, number: int) -> list[ConvBlock]:
    """`number` residual blocks of 3x3."""
    return [ConvBlock(channels, channels, residual=True) for _ in range(number)]


def audio_encoder(width: int, out: int, last: int) -> nn.Sequential:
    """Mel windows (B, 1, 80, 16) to (B, out, 1, 1); `last`: residual blocks on its last map.

    `width` is 32 in both published networks, `out` 512.
    """
    w = width
    return nn.Sequential(
        ConvBlock(1, w), *residuals(w, 2),  # 80 x 16
        ConvBlock(w, 2 * w, stride=(3, 1)), *residuals(2 * w, 2),  # 27 x 16
        ConvBlock(2 * w, 4 * w, stride=3), *residuals(4 * w, 2),  # 9 x 6
        ConvBlock(4 * w, 8 * w, stride=(3, 2)), *residuals(8 * w, last),  # 3 x 3
        ConvBlock(8 * w, out, padding=0),  # 1 x 1
        ConvBlock(out, out, 1, padding=0),
    )  # fmt: skip


def expert_audio_encoder(config: sections.Wav2Lip) -> nn.Sequential:
    """Mel windows (B, 1, 80, 16) to codes (B, 16 * expert_width, 1, 1)."""
    return audio_encoder(config.expert_width, 16 * config.expert_width, last=2)
