"""A curve through accuracy over beta, and where its maximum lies (AudioVSR, Fig. 3, for words).

The paper draws a fitted curve without naming its equation. Ours was chosen before any was seen:
the logit of accuracy is a natural cubic spline with four knots, evenly spaced over the measured
betas, whose four values are fitted by binomial likelihood. A parabola would do with three, but
pays for the fall towards beta = 0, where no real clip is left, with the place of its top.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit
from scipy.stats import chi2, f
from sklearn.linear_model import LogisticRegression

from visemix.evaluation.crossed import cluster_degrees

KNOTS = 4
GRID = 201  # betas at which the curve is read
WIDEST = 0.5  # of the measured betas: an interval of the maximum beyond that places it nowhere


@dataclass(frozen=True)
class Fit:
    """A fitted curve; accuracies and betas are in 0..1, the band is 95% and pointwise.

    place_low and place_high bound the betas at which the maximum may lie (95%, see `may_be_best`).
    `resolved` is False where they span more than half of the measured betas: a flat curve is
    taken for resolved one time in twenty at most. With one training a point it is False, too.
    """

    grid: np.ndarray  # (GRID,) betas
    curve: np.ndarray  # (GRID,) fitted accuracies
    low: np.ndarray
    high: np.ndarray
    place: float  # beta of the largest fitted accuracy
    place_low: float
    place_high: float
    resolved: bool
    trainings: int  # a point


def fit_with_interval(
    beta: np.ndarray, correct: np.ndarray, clusters: np.ndarray, seed: int, draws: int = 500
) -> Fit:
    """Fit a curve to trainings and bootstrap it over speakers and trainings.

    beta: (points,); correct: (points, trainings, clips), 0 or 1, the same clips everywhere;
    clusters: (clips,), of statistics.speakers_of: who speaks each clip.
    A draw takes speakers with replacement, each with all clips, the same at all points, and moves
    each point by a mean of S residuals: deviations of trainings from their point's mean, of all
    points together and widened by sqrt(S / (S - 1)), because two or three trainings a point say too
    little of their own spread. With one training a point the intervals hold for these trainings
    only.
    Raises ValueError for fewer than KNOTS + 1 different betas.
    """
    points, trainings, clips = correct.shape
    basis = spline_basis(beta)
    grid = np.linspace(beta.min(), beta.max(), GRID)
    accuracy = correct.mean(2)  # (points, trainings)
    logits = fit_logits(basis(beta), accuracy.mean(1), clips)
    residuals = accuracy - accuracy.mean(1, keepdims=True)
    residuals *= np.sqrt(trainings / max(1, trainings - 1))
    _, number = np.unique(clusters, return_inverse=True)
    sizes = np.bincount(number)  # (speakers,)
    sums = np.stack([np.bincount(number, right) for right in correct.mean(1)])  # (points, speakers)
    rng = np.random.default_rng(seed)
    drawn = np.empty((draws, KNOTS))
    for row in range(draws):
        chosen = rng.integers(len(sizes), size=len(sizes))
        mean = sums[:, chosen].sum(1) / sizes[chosen].sum()
        moved = rng.choice(residuals.ravel(), (points, trainings)).mean(1)
        drawn[row] = fit_logits(basis(beta), np.clip(mean + moved, 0, 1), clips)
    curve = expit(basis(grid) @ logits)
    low, high = np.quantile(expit(drawn @ basis(grid).T), (0.025, 0.975), axis=0)
    # of the covariance: no more than trainings or, as in crossed, speakers give
    degrees = min(points * (trainings - 1) or np.inf, cluster_degrees(clusters))
    places = grid[may_be_best(basis(grid), logits, np.cov(drawn.T), degrees)]
    return Fit(
        grid=grid,
        curve=curve,
        low=low,
        high=high,
        place=float(grid[curve.argmax()]),
        place_low=float(places.min()),
        place_high=float(places.max()),
        resolved=trainings > 1 and bool(np.ptp(places) <= WIDEST * np.ptp(beta)),
        trainings=trainings,
    )


def spline_basis(beta: np.ndarray) -> CubicSpline:
    """Natural cubic spline that gives (len(x), KNOTS) weights of the logits at its knots."""
    if len(np.unique(beta)) <= KNOTS:
        raise ValueError(f"{len(np.unique(beta))} betas; a curve needs at least {KNOTS + 1}")
    knots = np.linspace(beta.min(), beta.max(), KNOTS)
    return CubicSpline(knots, np.eye(KNOTS), bc_type="natural")


def fit_logits(rows: np.ndarray, accuracy: np.ndarray, n: int) -> np.ndarray:
    """Logits at the knots that fit `accuracy` (points,) of n clips; rows: of `spline_basis`.

    Half a clip is added to the right and to the wrong ones, so that a point at 0 or 1 has a logit.
    """
    right = accuracy * n + 0.5
    model = LogisticRegression(
        C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-8, max_iter=200
    )
    model.fit(
        np.vstack([rows, rows]),
        np.repeat([1, 0], len(rows)),
        sample_weight=np.concatenate([right, n + 1 - right]),
    )
    return model.coef_[0]


def may_be_best(
    basis: np.ndarray, logits: np.ndarray, covariance: np.ndarray, degrees: float
) -> np.ndarray:
    """For each row of `basis` whether the curve's maximum may lie there: bool (rows,).

    A place is out when the curve is higher somewhere else by more than Scheffe's bound (Biometrika
    1953), which holds for all differences along the curve at once: the true place of the maximum
    is in with a probability of 95%. degrees: of freedom of the logits' covariance (KNOTS, KNOTS).
    """
    free = KNOTS - 1  # a common level is no difference
    bound = chi2.ppf(0.95, free) if np.isinf(degrees) else free * f.ppf(0.95, free, degrees)
    steps = basis[:, None] - basis[None]  # (rows, rows, KNOTS): from each to each
    variance = np.einsum("ijk,kl,ijl->ij", steps, covariance, steps)
    higher = (steps @ logits > np.sqrt(bound * np.maximum(variance, 0))) & (steps != 0).any(2)
    return ~higher.any(0)
