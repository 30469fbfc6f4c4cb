"""Noise and the sampler, for times in 0 (no noise) .. 1 (nothing else).

A noisy picture is x_t = a_t x + s_t e with e normal, a_t = cos(pi t / 2) and s_t = sin(pi t / 2):
the process of DDPM (Ho et al., arXiv 2006.11239, equation 4) on the cosine schedule of Nichol and
Dhariwal (arXiv 2102.09672, section 3.2) without its offset, so that nothing of x is left at t = 1,
which AniPortrait takes care of, too (Lin et al., arXiv 2305.08891). The network predicts x where
AniPortrait's predicts v = a_t e - s_t x (Salimans and Ho, arXiv 2202.00512, section 4): in so short
a training all of it shall go into the picture, and the few steps from much noise hardly see little.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch


def add_noise(clean: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """x_t (B, C, H, W) of pictures x and noise e of that shape at times (B,)."""
    angles = (times * math.pi / 2)[:, None, None, None]
    return angles.cos() * clean + angles.sin() * noise


def sample(
    predict: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], noise: torch.Tensor, steps: int
) -> torch.Tensor:
    """Pictures (B, C, H, W) from noise in evenly spaced steps; predict(x_t, times (B,)) gives x.

    DDIM (Song et al., arXiv 2010.02502, equation 12 with sigma = 0): nothing is drawn on the way,
    so that equal noise gives equal pictures.
    """
    now = noise
    for before, after in pairwise(torch.linspace(1, 0, steps + 1).tolist()):
        clean = predict(now, now.new_full((len(now),), before))
        a, s = (f(before * math.pi / 2) for f in (math.cos, math.sin))
        left = (now - a * clean) / s  # the noise, as the prediction has it
        now = add_noise(clean, left, now.new_full((len(now),), after))
    return now
