"""A LAM ready to animate pictures, and its weights in a file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.base import FRAMES_AT_ONCE
from visemix.generators.lam.model import Lam
from visemix.generators.speech_windows import RANGE, mel_spectrogram, windows
from visemix.media import SAMPLES_PER_FRAME

WEIGHTS = "weights.safetensors"
FRAMES_BEFORE = 2  # a window of 200 ms lies around its frame: two frames before, it, two after


@dataclass(frozen=True)
class Animator:
    """A trained network, and of the crops it learned from how far the mouth was from the eyes and
    how they were cut (see faces.crops.crop_clip)."""

    network: Lam
    eye_to_mouth: float
    alignment: str = "retinaface"

    def make(self, first: np.ndarray, sounds: np.ndarray) -> np.ndarray:
        """Crops (B, T, 96, 96) uint8 from first frames (B, 96, 96) uint8 and sounds (B, T * 640).

        The head keeps its rotation (the static rotation of section 4.1). FRAMES_AT_ONCE frames, or
        one of each clip, are drawn together.
        """
        network, device = self.network.eval(), next(self.network.parameters()).device
        with torch.inference_mode():
            codes = network.speech_encoder(torch.from_numpy(speech(sounds)).to(device))
            still = to_grey(torch.from_numpy(first).to(device))
            positions = torch.arange(codes.shape[1], device=device).expand(len(still), -1)
            clips = torch.cat(
                [
                    network.draw(still, codes, None, part)
                    for part in positions.split(max(1, FRAMES_AT_ONCE // len(still)), 1)
                ],
                1,
            )
            return ((clips + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()


def to_grey(crops: torch.Tensor) -> torch.Tensor:
    """uint8 as the network's float in [-1, 1]."""
    return crops.float() / 127.5 - 1


def speech(sounds: np.ndarray) -> np.ndarray:
    """Windows (B, T, 80, 16) float32, one around each frame, of sounds (B, T * 640)."""
    frames = np.arange(sounds.shape[1] // SAMPLES_PER_FRAME)
    return np.stack([around(mel, frames) for mel in mel_spectrogram(sounds)])


def around(mel: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Windows (n, 80, 16) in [-1, 1] around frames (n,) of a mel spectrogram (80, columns)."""
    return windows(mel, frames - FRAMES_BEFORE) / np.float32(RANGE)


def load_weights(folder: str | Path, device: str = "cpu") -> Animator:
    """The trained LAM of a folder; errors as training.outputs.read_weights."""
    network, facts = trained.read_weights(Path(folder) / WEIGHTS, Lam, sections.Lam, device)
    return Animator(network, facts["eye_to_mouth"], facts["alignment"])
