"""What a trained generator is measured by, on clips of speakers that it has not seen.

Every clip is made anew from its first frame and its sound; that frame is not counted.
"""

from collections.abc import Callable

import numpy as np

from visemix.generators.base import mouth_motion
from visemix.generators.paired_clips import PairedClips, spread_rows

MAX_LAG = 5  # frames: how far a movement is moved to see where it fits best
MOUTH = slice(24, 72)  # rows and columns of the crop's middle half
RESAMPLES = 2000  # of the bootstrap


def measure(
    make: Callable[[np.ndarray, np.ndarray], np.ndarray],
    held_out: PairedClips,
    clips: int,
    batch_size: int = 8,
) -> dict[str, float]:
    """PSNR, SSIM and synchrony of the clips that make(first frames, sounds) gives.

    `clips` rows of held_out, spread evenly; all where there are no more. Raises ValueError for
    fewer than two, since each is made with another one's sound as well. Returns

    * n: number of clips;
    * psnr (dB), ssim: means over clips of torchmetrics' values, grey levels in 0..255;
    * still_psnr, still_ssim: of the first frame repeated, which has to be beaten;
    * movement: mean over clips of `movement_correlation`, 0 for a still;
    * in_sync: proportion of clips whose movement fits best within one frame of where it should be;
    * movement_other_sound: as movement, with the next clip's sound in place of the clip's own;
    * gain: mean over clips of what the own sound adds to movement, movement - movement_other_sound,
      and its 95% bootstrap interval, gain_low to gain_high;
    * motion, real_motion: means over clips of base.mouth_motion, made and real.
    """
    rows = spread_rows(len(held_out), clips)
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} held-out clips can be measured; two are needed at least")
    values = []
    for at in range(0, len(rows), batch_size):
        chosen = rows[at : at + batch_size]
        others = rows[(np.arange(at, at + len(chosen)) + 1) % len(rows)]
        real = held_out.crops(chosen)
        first = real[:, 0]
        made = make(first, held_out.sounds(chosen))
        other = make(first, held_out.sounds(others))
        for clip, own, wrong in zip(real, made, other, strict=True):
            truth, still = clip[1:], np.repeat(clip[:1], len(clip) - 1, 0)
            lags = movement_correlation(clip, own)
            values.append(
                {
                    "psnr": psnr(own[1:], truth),
                    "ssim": ssim(own[1:], truth),
                    "still_psnr": psnr(still, truth),
                    "still_ssim": ssim(still, truth),
                    "movement": lags[MAX_LAG],
                    "in_sync": lags.any() and abs(int(lags.argmax()) - MAX_LAG) <= 1,
                    "movement_other_sound": movement_correlation(clip, wrong)[MAX_LAG],
                    "motion": mouth_motion(own),
                    "real_motion": mouth_motion(clip),
                }
            )
    means = {name: float(np.mean([float(v[name]) for v in values])) for name in values[0]}
    gains = np.array([v["movement"] - v["movement_other_sound"] for v in values])
    drawn = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    low, high = np.quantile(gains[drawn].mean(1), [0.025, 0.975])
    means |= {"gain": float(gains.mean()), "gain_low": float(low), "gain_high": float(high)}
    return {"n": len(values), **means}


def movement_correlation(real: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Correlation (2 MAX_LAG + 1,) of the mouths' movement in two clips (T, 96, 96) uint8 by lag.

    Movement is the crop's middle half less its mean over time; its correlation, over all pixels
    and frames, is 0 where one of the two does not move. At entry MAX_LAG + k, frame t of `made`
    is held against frame t - k of `real`: a made clip that is k frames late has its maximum there.
    """
    frames = min(len(real), len(made))
    correlations = np.zeros(2 * MAX_LAG + 1)
    for lag in range(-min(MAX_LAG, frames - 2), min(MAX_LAG, frames - 2) + 1):
        a = real[max(0, -lag) : frames - max(0, lag), MOUTH, MOUTH].astype(np.float64)
        b = made[max(0, lag) : frames - max(0, -lag), MOUTH, MOUTH].astype(np.float64)
        a, b = a - a.mean(0), b - b.mean(0)
        power = (a**2).sum() * (b**2).sum()
        if power > 0:
            correlations[MAX_LAG + lag] = (a * b).sum() / power**0.5
    return correlations


def psnr(made: np.ndarray, true: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of grey crops (T, H, W) uint8, over all frames together.

    Infinite for equal crops. The difference is taken in floating point: in uint8 it would wrap
    around, as it does in some published evaluations. ValueError for unequal shapes.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    images, truth = _as_images(made, true)
    return float(peak_signal_noise_ratio(images, truth, data_range=255.0))


def ssim(made: np.ndarray, true: np.ndarray) -> float:
    """Structural similarity (Wang et al., TIP 2004) of grey crops (T, H, W) uint8, -1..1: the mean
    over frames, each with a Gaussian window of 11 px and sigma 1.5."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    images, truth = _as_images(made, true)
    value = structural_similarity_index_measure(images, truth, data_range=255.0)
    assert not isinstance(value, tuple)  # no image of it was asked for
    return float(value)


def _as_images(made: np.ndarray, true: np.ndarray) -> tuple:
    """Float tensors (T, 1, H, W)."""
    import torch

    if made.shape != true.shape or made.dtype != np.uint8 or true.dtype != np.uint8:
        raise ValueError(
            f"made crops are {made.dtype} {made.shape} and true ones {true.dtype} {true.shape}; "
            "both must be uint8 (T, H, W) of the same clip"
        )
    return tuple(torch.from_numpy(x[:, None].astype(np.float32)) for x in (made, true))
