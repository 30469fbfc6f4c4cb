"""LAM, the speech-driven lip animation network of SynthVSR, and its two discriminators.

Paper: Liu et al., "SynthVSR: scaling up visual speech recognition with synthetic supervision" (CVPR
2023), section 3.2. A picture code z_i (2D convolutions on the first frame), a speech code z_s (1D
convolutions on 200 ms of sound a frame, then GRUs) and a rotation code z_r together modulate the
convolutions of the decoder, which starts from the penultimate features of the picture's encoder.
The discriminator of frames sees a frame beside the first one, that of sequences the whole clip.

The layers are in a supplement that we could not read. Our readings:

* the sizes, all of them (`LamConfig`); the sound enters as a mel spectrogram, 16 columns a window;
* modulated convolutions as in StyleGAN2 (Karras et al., arXiv 1912.04958, section 2.2), with its
  sum of grey images over the scales, without its noise: nothing is drawn at random;
* that sum starts from the first frame, and the picture's features are added at every scale as in
  the earlier network of the same group (Vougioukas et al., arXiv 1906.06337). The grey layers start
  at zero: untrained, the network repeats the first frame, the control that it has to beat.

Pictures are grey levels in [-1, 1], 96 x 96.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

SIDE = 96
COARSEST = 6  # px, side of the features that the decoder starts from
SLOPE = 0.2  # of leaky rectifiers
GAIN = 2**0.5 / (1 + SLOPE**2) ** 0.5  # keeps the variance through them


@dataclass(frozen=True)
class LamConfig:
    """Everything that fixes the networks; the defaults are our choice of the full size.

    Attributes:
        channels: of encoder and decoder at 6, 12, 24, 48 and 96 px. A shorter list ends at the
            coarser side: what is drawn there is scaled up and added to the first frame.
        image_code, speech_code, rotation_code: lengths of z_i, z_s and z_r.
        speech_channels: of the first 1D convolution; doubled once.
        speech_layers: of the GRU.
        discriminator_channels: of the first layer of both discriminators; doubled by layer.
    """

    channels: tuple[int, ...] = (512, 512, 256, 128, 64)
    image_code: int = 256
    speech_code: int = 256
    rotation_code: int = 16
    speech_channels: int = 128
    speech_layers: int = 2
    discriminator_channels: int = 64

    def __post_init__(self):
        object.__setattr__(self, "channels", tuple(self.channels))
        if not 1 <= len(self.channels) <= 5:
            raise ValueError(f"channels is {self.channels}; give one to five numbers")
        for name, value in asdict(self).items():
            if min(value if isinstance(value, tuple) else (value,)) < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")

    @property
    def codes(self) -> int:
        """Length of z_i, z_s and z_r together."""
        return self.image_code + self.speech_code + self.rotation_code


class Lam(nn.Module):
    """First frames, windows of sound and head rotations -> clips (B, T, 96, 96).

    forward(first (B, 96, 96), windows (B, T, 80, 16), rotations (B, T, 3, 3) or None): rotations
    are relative to the first frame; None is a head that stays as it is (section 4.1).
    """

    def __init__(self, config: LamConfig):
        super().__init__()
        self.config = config
        self.image_encoder = ImageEncoder(config.channels, config.image_code)
        self.speech_encoder = SpeechEncoder(
            config.speech_channels, config.speech_code, config.speech_layers
        )
        self.rotation_encoder = nn.Linear(9, config.rotation_code)
        self.decoder = Decoder(config.channels, config.codes)

    def forward(
        self, first: torch.Tensor, windows: torch.Tensor, rotations: torch.Tensor | None = None
    ) -> torch.Tensor:
        batch, frames = windows.shape[:2]
        image, features = self.image_encoder(first[:, None])  # (B, z_i), [(B, C, h, h)]
        speech = self.speech_encoder(windows)  # (B, T, z_s)
        turned = windows.new_zeros(batch, frames, 9)
        if rotations is not None:
            turned = (rotations - torch.eye(3, device=windows.device)).flatten(2)
        rotation = self.rotation_encoder(turned)  # (B, T, z_r)
        codes = torch.cat((image[:, None].expand(-1, frames, -1), speech, rotation), 2)
        features = [f.repeat_interleave(frames, 0) for f in features]  # (B T, C, h, h)
        change = self.decoder(features, codes.flatten(0, 1))  # (B T, 1, h, h)
        if change.shape[-1] != SIDE:
            change = _scaled(change, SIDE)
        return first[:, None] + change.view(batch, frames, SIDE, SIDE)


class ImageEncoder(nn.Module):
    """E_i: (B, 1, 96, 96) -> z_i (B, code) and features, coarsest (6 px) first."""

    def __init__(self, channels: tuple[int, ...], code: int):
        super().__init__()
        finest_first = channels[::-1]
        stride = SIDE // (COARSEST << (len(channels) - 1))
        self.stem = nn.Conv2d(1, finest_first[0], 2 * stride + 1, stride, stride)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, narrow, 4, 2, 1) for wide, narrow in pairwise(finest_first)
        )
        self.code = nn.Linear(channels[0] * COARSEST**2, code)
        _initialise(self)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        features = [_active(self.stem(x))]
        for layer in self.down:
            features.append(_active(layer(features[-1])))
        return self.code(features[-1].flatten(1)), features[::-1]


class SpeechEncoder(nn.Module):
    """E_s: windows of a mel spectrogram (B, T, 80, 16) -> z_s (B, T, code)."""

    def __init__(self, channels: int, code: int, layers: int):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(80, channels, 3, 1, 1),  # 16 columns
                nn.Conv1d(channels, channels, 4, 2, 1),  # 8
                nn.Conv1d(channels, 2 * channels, 4, 2, 1),  # 4
                nn.Conv1d(2 * channels, 2 * channels, 4),  # 1
            ]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(c.out_channels) for c in self.convolutions)
        self.gru = nn.GRU(2 * channels, code, layers, batch_first=True)
        self.size = nn.LayerNorm(code)  # a GRU's states start small: as large as the other codes
        _initialise(self)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        x = windows.flatten(0, 1)  # (B T, 80, 16)
        for layer, norm in zip(self.convolutions, self.norms, strict=True):
            x = _active(norm(layer(x)))
        return self.size(self.gru(x.view(*windows.shape[:2], -1))[0])


class Decoder(nn.Module):
    """Features of the first frame and codes (N, codes) -> the change of the picture (N, 1, h, h).

    At each scale two modulated convolutions, the picture's features added between them, and a grey
    image, which is added to the scaled-up sum of the coarser ones.
    """

    def __init__(self, channels: tuple[int, ...], codes: int):
        super().__init__()
        before = (channels[0], *channels)
        self.first = nn.ModuleList(
            ModulatedConvolution(a, b, 3, codes) for a, b in zip(before, channels, strict=False)
        )
        self.second = nn.ModuleList(ModulatedConvolution(c, c, 3, codes) for c in channels)
        self.grey = nn.ModuleList(
            ModulatedConvolution(c, 1, 1, codes, demodulate=False) for c in channels
        )
        for layer in self.grey:
            nn.init.zeros_(layer.weight)

    def forward(self, features: list[torch.Tensor], codes: torch.Tensor) -> torch.Tensor:
        x, total = features[0], 0.0
        for feature, first, second, grey in zip(
            features, self.first, self.second, self.grey, strict=True
        ):
            if feature.shape[-1] != x.shape[-1]:
                x = _scaled(x, feature.shape[-1])
                total = _scaled(total, feature.shape[-1])
            x = (_active(first(x, codes)) + feature) * 0.5**0.5
            x = _active(second(x, codes))
            total = total + grey(x, codes)
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


class ImageDiscriminator(nn.Module):
    """D_img: frames and their clips' first frames, both (N, 96, 96) -> logits (N,), high: real."""

    def __init__(self, channels: int):
        super().__init__()
        widths = [2, *(channels << i for i in range(4))]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.out = nn.Linear(widths[-1] * COARSEST**2, 1)
        _initialise(self)

    def forward(self, frames: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        x = torch.stack((first, frames), 1)
        for layer in self.convolutions:
            x = _active(layer(x))
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
        _initialise(self)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        x = clips[:, None]  # (B, 1, T, 96, 96)
        for layer in self.convolutions:
            x = _active(layer(x))
        state = self.gru(x.mean((3, 4)).transpose(1, 2))[1]  # (1, B, C)
        return self.out(state[0]).squeeze(1)


def _active(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, SLOPE) * GAIN


def _scaled(x: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def _initialise(module: nn.Module) -> None:
    """Weights of unit gain: `_active` brings the rectifier's share."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.normal_(part.weight, std=part.weight[0].numel() ** -0.5)
            nn.init.zeros_(part.bias)
