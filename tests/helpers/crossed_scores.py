"""Scores of trainings and clips drawn from a known model of crossed effects."""

import numpy as np


def draw(rng, rows, seeds, clips, c, v, e):
    """Scores (rows, seeds, clips) with the variances of crossed.Components; all rows alike."""
    clip = rng.normal(0, 1, clips) + rng.normal(0, np.sqrt(c / 2), (rows, 1, clips))
    training = rng.normal(0, np.sqrt(v), (rows, seeds, 1))
    return clip + training + rng.normal(0, np.sqrt(e), (rows, seeds, clips))


def seed_variance(scores):
    return float(scores.mean(2).var(1, ddof=1).mean()), len(scores) * (scores.shape[1] - 1)
