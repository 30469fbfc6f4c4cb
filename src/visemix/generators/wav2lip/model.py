"""The generator of Wav2Lip, and the quality discriminator of its GAN variant.

Prajwal et al., "A lip sync expert is all you need for speech to lip generation in the wild" (ACM
MM 2020). Written from the paper and from the published sizes. What differs: pictures are grey, so
that a face has one channel and not three; and `draw_change` and `expert_audio` of the parameters,
which are off unless somebody wants to train for minutes.
"""

import torch
import torch.nn.functional as F
from torch import nn

from visemix.config import generators as sections
from visemix.generators.wav2lip.layers import (
    ConvBlock,
    audio_encoder,
    expert_audio_encoder,
    residuals,
)

DARKEST = 0.02  # of a reference that is changed, and as much less than white
ENCODER_RESIDUALS = (0, 2, 3, 2, 2, 1)  # by level, from the largest picture on


class Generator(nn.Module):
    """Mel windows, masked crops and reference crops to crops whose lips fit the sound.

    A U-Net: the picture is halved down to 3 x 3 and 1 x 1, and each level of the decoder, which
    starts from the sound's code, gets the encoder's map of the same size. `size` 96 and `width` 16
    are the published ones; smaller pictures leave out the deepest halvings.
    """

    def __init__(self, config: sections.Wav2Lip):
        super().__init__()
        self.config = config
        levels = (config.size // 3).bit_length()  # 96 -> 6: sides 96, 48, 24, 12, 6, 3
        channels = [config.width << level for level in range(levels)]
        deep = channels[-1]
        self.face_encoder = nn.ModuleList([ConvBlock(2, config.width, 7, padding=3)])
        for level in range(1, levels):
            layers = [ConvBlock(channels[level - 1], channels[level], stride=2)]
            layers += residuals(channels[level], ENCODER_RESIDUALS[level])
            self.face_encoder.append(nn.Sequential(*layers))
        bottom = ConvBlock(deep, deep, padding=0), ConvBlock(deep, deep, 1, padding=0)
        self.face_encoder.append(nn.Sequential(*bottom))  # 1 x 1
        if config.expert_audio:
            self.audio_encoder = nn.Sequential(
                expert_audio_encoder(config).requires_grad_(False),
                ConvBlock(16 * config.expert_width, deep, 1, padding=0),
            )
        else:
            self.audio_encoder = audio_encoder(2 * config.width, deep, last=1)
        self.decoder = nn.ModuleList(
            [
                ConvBlock(deep, deep, 1, padding=0),  # 1 x 1
                nn.Sequential(
                    ConvBlock(2 * deep, deep, padding=0, up=True), *residuals(deep, 1)
                ),  # 3 x 3
            ]
        )
        inside = 2 * deep
        for skip in reversed(channels[:-1]):  # published: 512, 384, 256, 128, 64 channels
            outside = _decoded(skip, config.width)
            layers = [ConvBlock(inside, outside, stride=2, up=True), *residuals(outside, 2)]
            self.decoder.append(nn.Sequential(*layers))
            inside = outside + skip
        self.head = nn.Sequential(
            ConvBlock(inside, 2 * config.width), nn.Conv2d(2 * config.width, 1, 1)
        )
        # A quarter less time on CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def train(self, mode: bool = True) -> "Generator":
        super().train(mode)
        if self.config.expert_audio:
            self.audio_encoder[0].eval()  # its running statistics are the expert's, too
        return self

    def forward(self, mels: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """mels (n, 1, 80, 16), faces (n, 2, S, S) in [0, 1] -> (n, 1, S, S) in [0, 1].

        faces: the masked crop and the reference. n counts frames.
        """
        skips, reference = [], faces[:, 1:]
        for encode in self.face_encoder:
            faces = encode(faces)
            skips.append(faces)
        x = self.audio_encoder(mels)  # (n, deep, 1, 1)
        for decode in self.decoder:
            x = torch.cat((decode(x), skips.pop()), 1)
        x = self.head(x)
        if self.config.draw_change:
            x = x + torch.logit(reference, DARKEST)
        return torch.sigmoid(x)


class Discriminator(nn.Module):
    """The quality discriminator: bands (n, 1, S/2, S) of single frames to logits (n,), real > 0.

    Without normalisation, LeakyReLU 0.01. Published: `discriminator_width` 32, `size` 96.
    """

    def __init__(self, config: sections.Wav2Lip):
        super().__init__()
        channels = [config.discriminator_width << level for level in range(5)]
        layers: list[nn.Module] = [nn.Conv2d(1, channels[0], 7, 1, 3)]
        halvings = (config.size // 6).bit_length() - 1  # of the height, down to 3
        inside = channels[0]
        for level in range(halvings + 1):  # the first one halves the width alone
            outside = channels[min(level + 1, 4)]
            kernel = 5 if level < 3 else 3
            stride = (1, 2) if level == 0 else 2
            layers += [
                nn.Conv2d(inside, outside, kernel, stride, kernel // 2),
                nn.Conv2d(outside, outside, kernel, 1, kernel // 2),
            ]
            inside = outside
        layers += [nn.Conv2d(inside, inside, 3), nn.Conv2d(inside, inside, 1)]
        self.layers = nn.ModuleList(layers)
        self.decide = nn.Conv2d(inside, 1, 1)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            bands = F.leaky_relu(layer(bands), 0.01)
        return self.decide(bands).flatten()


def _decoded(skip: int, width: int) -> int:
    """Channels of the decoder beside a skip connection: 16 -> 64, 32 -> 128, ... 256 -> 512."""
    return {16: 32, 8: 24, 4: 16, 2: 8, 1: 4}[skip // width] * width
