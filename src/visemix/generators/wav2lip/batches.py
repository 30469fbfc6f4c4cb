"""What a training step reads: a function of (seed, step) alone, so that a resume is exact."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from visemix.generators.speech_windows import mel_spectrogram, windows
from visemix.generators.wav2lip.config import T, Wav2LipConfig

# The published training code gives frame i the sound that starts one frame before it, the published
# inference code the sound that starts with it: what was learnt then speaks 40 ms early. Here both
# do as in training, which is what the published weights were fitted to, and which hears 40 ms
# before the frame and 120 ms after it: lips move before they are heard.
LEAD = 1  # frames
KEPT = 4096  # spectrograms, of 30 kB for 29 frames


@dataclass(frozen=True)
class ExpertBatch:
    """Windows of five frames, half of them with their own sound."""

    faces: torch.Tensor  # (n, 5, S/2, S) in [0, 1], the band
    mels: torch.Tensor  # (n, 1, 80, 16)
    in_sync: torch.Tensor  # (n,) 1 or 0


@dataclass(frozen=True)
class GeneratorBatch:
    """Windows to be drawn."""

    truth: torch.Tensor  # (n, 5, S, S) in [0, 1]
    faces: torch.Tensor  # (n, 5, 2, S, S): masked truth and reference
    frame_mels: torch.Tensor  # (n, 5, 1, 80, 16), one for each frame
    mels: torch.Tensor  # (n, 1, 80, 16), of the window, for the expert


def spectra_of(data) -> Callable[[int], np.ndarray]:
    """The function that gives a clip's mel spectrogram (80, columns); it remembers thousands."""

    @lru_cache(maxsize=KEPT)
    def spectrum(row: int) -> np.ndarray:
        return mel_spectrogram(data.sounds([row])[0])

    return spectrum


def expert_batch(data, spectra, rows, rng, config: Wav2LipConfig, device) -> ExpertBatch:
    """A random window of each clip in `rows`; every second one hears another window of the clip."""
    crops = data.crops(rows)
    here, there = two_starts(rng, len(rows), crops.shape[1])
    in_sync = np.arange(len(rows)) % 2 == 0
    faces = _cut(crops, np.where(in_sync, here, there))
    mels = [windows(spectra(row), [i])[0] for row, i in zip(rows, here, strict=True)]
    return ExpertBatch(
        to_pictures(faces, config, device)[:, :, config.band],
        torch.from_numpy(np.stack(mels))[:, None].to(device),
        torch.from_numpy(in_sync.astype(np.float32)).to(device),
    )


def generator_batch(data, spectra, rows, rng, config: Wav2LipConfig, device) -> GeneratorBatch:
    """A random window of each clip in `rows`, and another window of the clip as reference."""
    crops = data.crops(rows)
    here, there = two_starts(rng, len(rows), crops.shape[1])
    truth = to_pictures(_cut(crops, here), config, device)
    reference = to_pictures(_cut(crops, there), config, device)
    own = [windows(spectra(row), frame_starts(i, T)) for row, i in zip(rows, here, strict=True)]
    whole = [windows(spectra(row), [i])[0] for row, i in zip(rows, here, strict=True)]
    return GeneratorBatch(
        truth,
        torch.stack([masked(truth, config), reference], 2),
        torch.from_numpy(np.stack(own))[:, :, None].to(device),
        torch.from_numpy(np.stack(whole))[:, None].to(device),
    )


def frame_starts(first: int, n_frames: int) -> np.ndarray:
    """Where the sound of each of `n_frames` frames from `first` on begins, in frames."""
    return np.arange(first, first + n_frames) - LEAD


def two_starts(rng: np.random.Generator, n: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """First frames of two different windows of five frames in each of n clips."""
    if frames <= T:
        raise ValueError(f"the clips have {frames} frames; windows need at least {T + 1}")
    here = rng.integers(frames - T + 1, size=n)
    return here, (here + rng.integers(1, frames - T + 1, size=n)) % (frames - T + 1)


def masked(pictures: torch.Tensor, config: Wav2LipConfig) -> torch.Tensor:
    """Pictures (..., S, S) with 0 from the first hidden row on."""
    pictures = pictures.clone()
    pictures[..., config.first_hidden :, :] = 0
    return pictures


def to_pictures(crops: np.ndarray, config: Wav2LipConfig, device) -> torch.Tensor:
    """Crops (..., 96, 96) uint8 to pictures (..., S, S) in [0, 1], averaged over px if smaller."""
    pictures = torch.from_numpy(np.ascontiguousarray(crops)).to(device).float() / 255
    factor = crops.shape[-1] // config.size
    if factor == 1:
        return pictures
    return F.avg_pool2d(pictures.flatten(0, -3), factor).unflatten(0, crops.shape[:-2])


def to_crops(pictures: torch.Tensor, side: int) -> np.ndarray:
    """Pictures (n, S, S) in [0, 1] to crops (n, side, side) uint8."""
    if pictures.shape[-1] != side:
        pictures = F.interpolate(
            pictures[:, None], (side, side), mode="bicubic", align_corners=False
        )[:, 0]
    return (pictures * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def rows_of(seed: int, step: int, purpose: int, n: int, batch_size: int):
    """The random numbers of a step, and which of n clips it reads."""
    rng = np.random.default_rng([seed, purpose, step])
    return rng.integers(n, size=batch_size), rng


def _cut(crops: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The five frames of each clip (n, frames, 96, 96) from its start on."""
    return crops[np.arange(len(crops))[:, None], starts[:, None] + np.arange(T)]
