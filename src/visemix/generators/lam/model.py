"""LAM, the speech-driven lip animation network of SynthVSR.

Paper: Liu et al., "SynthVSR: scaling up visual speech recognition with synthetic supervision" (CVPR
2023), section 3.2. A picture code z_i (2D convolutions on the first frame), a speech code z_s (1D
convolutions on 200 ms of sound a frame, then GRUs) and a rotation code z_r together modulate the
convolutions of the decoder, which starts from the penultimate features of the picture's encoder.

The layers are in a supplement that we could not read. Our readings:

* the sizes, all of them (`config.generators.Lam`); the sound enters as a mel spectrogram, 16
  columns a window;
* modulated convolutions as in StyleGAN2 (Karras et al., arXiv 1912.04958, section 2.2), with its
  sum of grey images over the scales, without its noise: nothing is drawn at random;
* that sum starts from the first frame, and the picture's features are added at every scale as in
  the earlier network of the same group (Vougioukas et al., arXiv 1906.06337). The output layers
  start at zero: untrained, the network repeats the first frame, the control that it has to beat.

`warp` is our addition: the decoder then says for every pixel from where in the first
frame it comes as well, so that lips need not be drawn anew to be moved.

Pictures are grey levels in [-1, 1], 96 x 96.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config import generators as sections

SIDE = 96
COARSEST = 6  # px, side of the features that the decoder starts from
SHIFT = 4  # px by which an output of 1 moves a pixel
SLOPE = 0.2  # of leaky rectifiers
GAIN = 2**0.5 / (1 + SLOPE**2) ** 0.5  # keeps the variance through them


class Lam(nn.Module):
    """First frames, windows of sound and head rotations -> clips (B, T, 96, 96).

    forward(first (B, 96, 96), windows (B, T, 80, 16), rotations (B, T, 3, 3) or None, drawn (B, K)
    or None): rotations are relative to the first frame; None is a head that stays as it is (section
    4.1). `drawn` are the positions of the frames that are wanted, of K instead of T.
    """

    def __init__(self, config: sections.Lam):
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config.channels, config.image_code)
        self.speech_encoder = SpeechEncoder(
            config.speech_channels, config.speech_code, config.speech_layers
        )
        self.rotation_encoder = nn.Linear(9, config.rotation_code)
        codes = config.image_code + config.speech_code + config.rotation_code
        self.decoder = Decoder(config.channels, codes, 3 if config.warp else 1)

    def forward(
        self,
        first: torch.Tensor,
        windows: torch.Tensor,
        rotations: torch.Tensor | None = None,
        drawn: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.draw(first, self.speech_encoder(windows), rotations, drawn)

    def draw(
        self,
        first: torch.Tensor,
        speech: torch.Tensor,
        rotations: torch.Tensor | None = None,
        drawn: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """What `forward` does with speech codes z_s (B, T, speech_code): clip by clip."""
        batch, frames = speech.shape[:2]
        image, features = self.image_encoder(first[:, None])  # (B, z_i), [(B, C, h, h)]
        turned = speech.new_zeros(batch, frames, 9)
        if rotations is not None:
            turned = (rotations - torch.eye(3, device=speech.device)).flatten(2)
        moving = torch.cat((speech, self.rotation_encoder(turned)), 2)  # (B, T, z_s + z_r)
        if drawn is not None:
            moving, frames = select_frames(moving, drawn), drawn.shape[1]
        codes = torch.cat((image[:, None].expand(-1, frames, -1), moving), 2)
        features = [f.repeat_interleave(frames, 0) for f in features]  # (B T, C, h, h)
        change = self.decoder(features, codes.flatten(0, 1))  # (B T, 1 or 3, h, h)
        if change.shape[-1] != SIDE:
            change = _scaled(change, SIDE)
        pictures = first.repeat_interleave(frames, 0)
        if self.config.warp:
            pictures = warp(pictures, change[:, 1:] * SHIFT)
        return (pictures + change[:, 0]).view(batch, frames, SIDE, SIDE)


def select_frames(clips: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(B, K, ...) of (B, T, ...): the frames at positions (B, K) of each clip."""
    return clips[torch.arange(len(clips), device=clips.device)[:, None], positions]


def warp(pictures: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Pictures (N, H, W) whose pixel (x, y) is that at (x, y) + shifts (N, 2, H, W), px; bilinear.

    Beyond its edge a picture goes on as there. Not grid_sample, whose gradient is not
    deterministic on CUDA.
    """
    height, width = pictures.shape[1:]
    x = torch.arange(width, device=pictures.device) + shifts[:, 0]
    y = torch.arange(height, device=pictures.device)[:, None] + shifts[:, 1]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.detach().long().clamp(max=width - 2), y.detach().long().clamp(max=height - 2)
    right, down = x - left, y - top  # weights of the right and of the lower neighbour
    flat, corner = pictures.flatten(1), (top * width + left).flatten(1)
    a, b, c, d = (flat.gather(1, corner + step).view_as(x) for step in (0, 1, width, width + 1))
    return torch.lerp(torch.lerp(a, b, right), torch.lerp(c, d, right), down)


class ImageEncoder(nn.Module):
    """E_i: (B, 1, 96, 96) -> z_i (B, code) and features, coarsest (6 px) first."""

    def __init__(self, channels: list[int], code: int):
        super().__init__()
        finest_first = channels[::-1]
        stride = SIDE // (COARSEST << (len(channels) - 1))
        self.stem = nn.Conv2d(1, finest_first[0], 2 * stride + 1, stride, stride)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, narrow, 4, 2, 1) for wide, narrow in pairwise(finest_first)
        )
        self.code = nn.Linear(channels[0] * COARSEST**2, code)
        initialise(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        features = [active(self.stem(x))]
        for layer in self.down:
            features.append(active(layer(features[-1])))
        return self.code(features[-1].flatten(1)), features[::-1]


class SpeechEncoder(nn.Module):
    """E_s: windows of a mel spectrogram (B, T, 80, 16) -> z_s (B, T, code)."""

    def __init__(self, channels: int, code: int, layers: int):
        super().__init__()
        convolutions = [
            nn.Conv1d(80, channels, 4, 2, 1),  # 8 columns of 16
            nn.Conv1d(channels, channels, 4, 2, 1),  # 4
            nn.Conv1d(channels, 2 * channels, 4),  # 1
        ]
        self.convolutions = nn.ModuleList(convolutions)
        self.norms = nn.ModuleList(nn.BatchNorm1d(c.out_channels) for c in convolutions)
        self.gru = nn.GRU(2 * channels, code, layers, batch_first=True)
        self.size = nn.LayerNorm(code)  # a GRU's states start small: as large as the other codes
        initialise(self)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        x = windows.flatten(0, 1)  # (B T, 80, 16)
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            x = active(norm(layer(x)))
        return self.size(self.gru(x.view(*windows.shape[:2], -1))[0])


class Decoder(nn.Module):
    """Features of the first frame and codes (N, codes) -> the picture's change (N, outputs, h, h).

    At each scale two modulated convolutions, the picture's features added between them, and an
    output, which is added to the scaled-up sum of the coarser ones.
    """

    def __init__(self, channels: list[int], codes: int, outputs: int):
        super().__init__()
        before = (channels[0], *channels)
        self.first = nn.ModuleList(
            ModulatedConvolution(a, b, 3, codes) for a, b in zip(before, channels, strict=False)
        )
        self.second = nn.ModuleList(ModulatedConvolution(c, c, 3, codes) for c in channels)
        out = [ModulatedConvolution(c, outputs, 1, codes, demodulate=False) for c in channels]
        self.out = nn.ModuleList(out)
        for layer in out:
            nn.init.zeros_(layer.weight)

    def forward(self, features: list[torch.Tensor], codes: torch.Tensor) -> torch.Tensor:
        x = features[0]
        total: Any = 0.0  # a tensor from the first output on
        for feature, first, second, out in zip(
            features, self.first, self.second, self.out, strict=True
        ):
            if feature.shape[-1] != x.shape[-1]:
                x = _scaled(x, feature.shape[-1])
                total = _scaled(total, feature.shape[-1])
            x = (active(first(x, codes)) + feature) * 0.5**0.5
            x = active(second(x, codes))
            total = total + out(x, codes)
        return total


class ModulatedConvolution(nn.Module):
    """Convolution whose weights every sample scales by its code (StyleGAN2, equations 1 and 3).

    w' = s_i w_oik, demodulated to w' / sqrt(sum over i and k of w'^2): instead of a kernel a sample
    the input is scaled by s and the output by the root, which is the same sum of products.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, codes: int, demodulate: bool = True):
        super().__init__()
        self.demodulate, self.kernel = demodulate, kernel
        self.scale = nn.Linear(codes, inputs)
        nn.init.normal_(self.scale.weight, std=codes**-0.5)
        nn.init.ones_(self.scale.bias)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        nn.init.normal_(self.weight, std=(inputs * kernel**2) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        scale = self.scale(codes)  # (N, inputs)
        x = F.conv2d(x * scale[:, :, None, None], self.weight, padding=self.kernel // 2)
        if self.demodulate:
            power = scale.square() @ self.weight.square().sum((2, 3)).T  # (N, outputs)
            x = x * torch.rsqrt(power + 1e-8)[:, :, None, None]
        return x + self.bias[:, None, None]


def active(x: torch.Tensor) -> torch.Tensor:
    """A leaky rectifier that keeps the variance."""
    return F.leaky_relu(x, SLOPE) * GAIN


def _scaled(x: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """Weights of unit gain: `active` brings what the rectifier takes."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.normal_(part.weight, std=part.weight[0].numel() ** -0.5)
            assert part.bias is not None  # all layers have one
            nn.init.zeros_(part.bias)
