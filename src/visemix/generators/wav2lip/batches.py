"""What a training step reads: a function of (seed, step) alone, so that a resume is exact."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from visemix.config import generators as sections
from visemix.generators.speech_windows import windows

T = 5  # frames in a window (200 ms of sound)

# The published training code gives frame i the sound that starts one frame before it, the published
# inference code the sound that starts with it: what was learnt then speaks 40 ms early. Here both
# do as in training, which is what the published weights were fitted to: 40 ms before the frame and
# 120 ms after it, because lips move before their sound.
LEAD = 1  # frames
WINDOWS = 4  # of a clip, in a batch of the expert


@dataclass(frozen=True)
class ExpertBatch:
    """Windows of five frames and of sound: m different ones of each of n clips."""

    faces: torch.Tensor  # (n, m, 5, S/2, S) in [0, 1], the band
    mels: torch.Tensor  # (n, m, 1, 80, 16)


@dataclass(frozen=True)
class GeneratorBatch:
    """Windows to be drawn."""

    truth: torch.Tensor  # (n, 5, S, S) in [0, 1]
    faces: torch.Tensor  # (n, 5, 2, S, S): masked truth and reference
    frame_mels: torch.Tensor  # (n, 5, 1, 80, 16), one for each frame
    mels: torch.Tensor  # (n, 1, 80, 16), of the window, for the expert


def expert_batch(data, spectra, rows, rng, config: sections.Wav2Lip, device) -> ExpertBatch:
    """Four random windows (or as many as there are) of each clip in `rows`."""
    crops = data.crops(rows)
    possible = crops.shape[1] - T + 1
    _check_length(crops.shape[1])
    starts = np.stack([rng.permutation(possible)[:WINDOWS] for _ in rows])  # (n, m)
    faces = crops[np.arange(len(rows))[:, None, None], starts[..., None] + np.arange(T)]
    mels = np.stack([windows(spectra(row), i) for row, i in zip(rows, starts, strict=True)])
    return ExpertBatch(
        to_pictures(faces, config, device)[..., config.band, :],
        torch.from_numpy(mels)[:, :, None].to(device),
    )


def generator_batch(data, spectra, rows, rng, config: sections.Wav2Lip, device) -> GeneratorBatch:
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
    _check_length(frames)
    here = rng.integers(frames - T + 1, size=n)
    return here, (here + rng.integers(1, frames - T + 1, size=n)) % (frames - T + 1)


def masked(pictures: torch.Tensor, config: sections.Wav2Lip) -> torch.Tensor:
    """Pictures (..., S, S) with 0 from the first hidden row on."""
    pictures = pictures.clone()
    pictures[..., config.first_hidden :, :] = 0
    return pictures


def to_pictures(crops: np.ndarray, config: sections.Wav2Lip, device) -> torch.Tensor:
    """Crops (..., 96, 96) uint8 to pictures (..., S, S) in [0, 1], averaged over px if smaller."""
    pictures = torch.from_numpy(np.ascontiguousarray(crops)).to(device).float() / 255
    factor = crops.shape[-1] // config.size
    if factor == 1:
        return pictures
    return F.avg_pool2d(pictures.flatten(0, -3), factor).unflatten(0, crops.shape[:-2])


def to_crops(drawn: torch.Tensor, still: np.ndarray, config: sections.Wav2Lip) -> np.ndarray:
    """Pictures (n, S, S) in [0, 1], drawn from a still (96, 96) uint8, to crops (n, 96, 96) uint8.

    Pictures of 96 px are the crops. Of smaller ones the difference to the still, scaled up, is
    added to the still, which so keeps what is finer than the networks see.
    """
    side = len(still)
    if config.size != side:
        change = drawn - to_pictures(still[None], config, drawn.device)
        change = F.interpolate(change[:, None], (side, side), mode="bicubic", align_corners=False)
        drawn = torch.from_numpy(still).to(drawn.device) / 255 + change[:, 0]
    return (drawn * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def rows_of(seed: int, step: int, purpose: int, n: int, batch_size: int):
    """The random numbers of a step, and which of n clips it reads."""
    rng = np.random.default_rng([seed, purpose, step])
    return rng.integers(n, size=batch_size), rng


def _check_length(frames: int) -> None:
    if frames <= T:
        raise ValueError(f"the clips have {frames} frames; windows need at least {T + 1}")


def _cut(crops: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The five frames of each clip (n, frames, 96, 96) from its start on."""
    return crops[np.arange(len(crops))[:, None], starts[:, None] + np.arange(T)]
