"""The losses of LAM (SynthVSR, section 3.2, equations 1 to 5).

Unstated, and read here: the adversarial losses are the non-saturating logistic ones; L1 is the mean
over pixels, or features; the lip reader is one of isolated words, whose word logits stand for those
of the paper's decoder, and the divergence is KL(real || made) at temperature 1.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from visemix.clips.augmentation import centre_crop_unit

# Which terms of the VSR perceptual loss count: visual features, logits.
CONFIGURATIONS = {"baseline": (0, 0), "V": (1, 0), "L": (0, 1), "VL": (1, 1)}

MOUTH = slice(24, 72)  # rows and columns of the crop's middle half
MOVEMENT_PX = 8  # side of the squares in it whose movement is predicted from sound
MOVEMENTS = 36  # squares


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Equations 1 and 2 as a loss of the discriminator, from its logits on real and made."""
    return F.softplus(-real).mean() + F.softplus(made).mean()


def adversarial_loss(made: torch.Tensor) -> torch.Tensor:
    """What the generator makes smaller: -log D instead of log (1 - D), for its gradient."""
    return F.softplus(-made).mean()


def reconstruction_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Equation 4, the mean over pixels."""
    return F.l1_loss(made, real)


def movement_loss(real: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """How well the mouths' movement is predicted from sound. Not in the paper.

    The mean square of what `predicted` (B, T, 36) leaves of the middle of the clips (B, T, 96, 96),
    averaged over 8 x 8 px, less its mean over time, because what a speaker looks like does not
    count, and brought to unit variance.
    """
    middle = F.avg_pool2d(real[:, :, MOUTH, MOUTH], MOVEMENT_PX).flatten(2)
    movement = middle - middle.mean(1, True)
    movement = movement / movement.std().clamp(min=1e-6)  # nothing moves in a still
    return F.mse_loss(predicted - predicted.mean(1, True), movement)


class LipReaderLoss(nn.Module):
    """Equation 3 without its weights: how differently a frozen lip reader sees real and made.

    run_folder: of a finished visemix.training. Raises FileNotFoundError where that has no weights.
    """

    def __init__(self, run_folder: str | Path, device: str | torch.device = "cpu"):
        super().__init__()
        from visemix.training.recogniser import load_recogniser

        self.reader, _, self.input = load_recogniser(run_folder, str(device))
        self.reader.requires_grad_(False)

    def train(self, mode: bool = True) -> "LipReaderLoss":
        """The lip reader stays in evaluation mode whatever its surroundings do."""
        return super().train(False)

    def forward(self, real: torch.Tensor, made: torch.Tensor) -> dict[str, torch.Tensor]:
        """{"visual": L1 of front-end features, "logits": KL} for clips (B, T, 96, 96)."""
        with torch.no_grad():
            real_features, real_logits = self._read(real)
        features, logits = self._read(made)
        words, real_words = logits.log_softmax(1), real_logits.log_softmax(1)
        return {
            "visual": F.l1_loss(features, real_features),
            "logits": F.kl_div(words, real_words, reduction="batchmean", log_target=True),
        }

    def _read(self, clips: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = centre_crop_unit((clips + 1) / 2, self.input, self.reader.config.input_size)
        seen = []
        hook = self.reader.front_end.register_forward_hook(lambda *call: seen.append(call[2]))
        try:
            logits = self.reader(inputs)["word_logits"]
        finally:
            hook.remove()
        return seen[0], logits
