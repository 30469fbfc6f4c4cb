"""A curve through accuracy over beta, and where its maximum lies (AudioVSR, Fig. 3, for words).

The paper draws a fitted curve without naming its form. Ours was chosen before any curve was seen:
the logit of accuracy is a natural cubic spline with four knots, evenly spaced over the measured
betas, whose four values are fitted by binomial likelihood. A parabola would do with three, but
pays for the fall towards beta = 0, where no real clip is left, with the place of its top.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

KNOTS = 4
GRID = 201  # betas at which the curve is read
WIDEST = 0.5  # of the measured betas: an interval of the maximum beyond that places it nowhere


@dataclass(frozen=True)
class Fit:
    """A fitted curve; accuracies and betas are shares (0..1), intervals 95% and pointwise.

    `resolved` is False where the interval of the maximum's place spans more than half of the
    measured betas, as it does for a flat curve.
    """

    grid: np.ndarray  # (GRID,) betas
    curve: np.ndarray  # (GRID,) fitted accuracies
    low: np.ndarray
    high: np.ndarray
    place: float  # beta of the largest fitted accuracy
    place_low: float
    place_high: float
    resolved: bool


def fit_curve(beta: np.ndarray, accuracy: np.ndarray, n: int, grid: np.ndarray) -> np.ndarray:
    """Accuracies on `grid` of the spline that fits `accuracy` (0..1) of n clips at each beta.

    Half a clip is added to the right and to the wrong ones, so that a point at 0 or 1 has a logit.
    Raises ValueError for fewer than KNOTS + 1 different betas.
    """
    if len(np.unique(beta)) <= KNOTS:
        raise ValueError(f"{len(np.unique(beta))} betas; a curve needs at least {KNOTS + 1}")
    knots = np.linspace(beta.min(), beta.max(), KNOTS)
    basis = CubicSpline(knots, np.eye(KNOTS), bc_type="natural")
    right = accuracy * n + 0.5
    model = LogisticRegression(
        C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-8, max_iter=200
    )
    rows = basis(beta)
    model.fit(
        np.vstack([rows, rows]),
        np.repeat([1, 0], len(beta)),
        sample_weight=np.concatenate([right, n + 1 - right]),
    )
    return expit(basis(grid) @ model.coef_[0])


def fit_with_interval(beta: np.ndarray, correct: np.ndarray, seed: int, draws: int = 500) -> Fit:
    """Fit a curve to trainings and bootstrap it over test clips and trainings.

    beta: (points,); correct: (points, trainings, clips), 0 or 1, the same clips everywhere.
    A draw takes clips with replacement, the same at all points, and the trainings of each point
    with replacement, their deviations from the point's mean widened by sqrt(S / (S - 1)) as few
    are drawn from (Davison & Hinkley, Bootstrap Methods, 1997, 2.3). With one training a point
    the interval holds for these trainings only.
    """
    points, trainings, clips = correct.shape
    grid = np.linspace(beta.min(), beta.max(), GRID)
    curve = fit_curve(beta, correct.mean((1, 2)), clips, grid)
    rng = np.random.default_rng(seed)
    widened = np.sqrt(trainings / (trainings - 1)) if trainings > 1 else 0.0
    curves = np.empty((draws, GRID))
    for number in range(draws):
        by_training = correct[:, :, rng.integers(clips, size=clips)].mean(2)  # (points, trainings)
        drawn = rng.integers(trainings, size=(points, trainings))
        mean = by_training.mean(1)
        moved = np.take_along_axis(by_training, drawn, 1).mean(1) - mean
        accuracy = np.clip(mean + widened * moved, 0, 1)
        curves[number] = fit_curve(beta, accuracy, clips, grid)
    low, high = np.quantile(curves, (0.025, 0.975), axis=0)
    places = np.quantile(grid[curves.argmax(1)], (0.025, 0.975))
    return Fit(
        grid=grid,
        curve=curve,
        low=low,
        high=high,
        place=float(grid[curve.argmax()]),
        place_low=float(places[0]),
        place_high=float(places[1]),
        resolved=bool(places[1] - places[0] <= WIDEST * np.ptp(beta)),
    )
