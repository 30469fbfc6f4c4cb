"""Clips and trainings as crossed random effects: how sure is the difference of two table rows?

Row r (a recogniser) is trained once for each seed s, and all trainings read the same clips i:

    score(r, s, i) = mean(r) + clip(i) + clip(r, i) + training(r, s) + rest(r, s, i)

The mean difference of two rows over S seeds and n clips has the variance

    V = c / n + 2 v / S + 2 e / (n S)

with c the variance of clip(2, i) - clip(1, i), v that of training, e that of rest. This is the
split plot of readers and cases (Hillis, Statistics in Medicine 2014), with trainings as readers.
The mean score of one row has it with v and e once, and as c the variance of clip(i) + clip(r, i).
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Components(NamedTuple):
    """Variances of scores (right: 1, wrong: 0) by what causes them."""

    clips: float  # c: of how much harder a clip is for one row than for the other
    trainings: float  # v: of accuracy between trainings, over infinitely many clips
    rest: float  # e: of one training on one clip; nan with one seed


class Estimate(NamedTuple):
    """Mean score of a row, or difference of two rows, with its variance and degrees of freedom."""

    mean: float
    variance: float
    degrees: float  # of freedom

    @property
    def p(self) -> float:
        """Two-sided t-test, in [0, 1]."""
        if not self.variance:
            return 1.0 if not self.mean else 0.0
        return float(2 * t.sf(abs(self.mean) / math.sqrt(self.variance), self.degrees))

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval."""
        reach = t.ppf(0.975, self.degrees) * math.sqrt(self.variance)
        return float(self.mean - reach), float(self.mean + reach)


def clustered_variance(values: np.ndarray, clusters: np.ndarray) -> tuple[float, int]:
    """Variance of the mean of values (n,) in clusters (n,) of names, and the number of clusters.

    The sandwich estimator; the usual variance over n where every value is a cluster of its own.
    """
    _, number = np.unique(clusters, return_inverse=True)
    sums = np.bincount(number, values - values.mean())
    count = len(sums)
    return float(count / (count - 1) * (sums**2).sum() / len(values) ** 2), count


def cluster_degrees(clusters: np.ndarray) -> float:
    """Degrees of freedom of `clustered_variance`: clusters less one, weighed by their sizes.

    A few large clusters beside many clips alone say no more about speakers than the few do: counted
    are (sum of sizes)^2 / sum of squared sizes (Carter, Schnepel & Steigerwald, Review of Economics
    and Statistics 2017, for equal correlation within clusters), which is their number where all
    have one size. At least 1.
    """
    _, sizes = np.unique(clusters, return_counts=True)
    return max(1.0, float(sizes.sum() ** 2 / (sizes.astype(float) ** 2).sum() - 1))


def design_effect(values: np.ndarray, clusters: np.ndarray) -> float:
    """By how much clusters widen the variance of the mean of values (n,), at least 1."""
    alone = values.var(ddof=1) / len(values)
    return max(1.0, clustered_variance(values, clusters)[0] / alone) if alone else 1.0


def rest_variance(*rows: np.ndarray) -> float:
    """e from the scores (S, n) of rows, S > 1; unbiased."""
    seeds, clips = rows[0].shape
    squares = 0.0
    for scores in rows:
        expected = scores.mean(0) + scores.mean(1, keepdims=True) - scores.mean()
        squares += ((scores - expected) ** 2).sum()
    return float(squares / (len(rows) * (seeds - 1) * (clips - 1)))


def crossed_mean(scores: np.ndarray, clusters: np.ndarray, seeds: tuple[float, int]) -> Estimate:
    """Mean score of one row; arguments as of `crossed_difference`."""
    return _crossed(scores.mean(0), [scores], clusters, seeds)


def crossed_difference(
    first: np.ndarray, second: np.ndarray, clusters: np.ndarray, seeds: tuple[float, int]
) -> Estimate:
    """The second row minus the first, allowing for other clips and, with several seeds, trainings.

    first, second: scores (S, n) of the same n clips in the same order. clusters: (n,) the speaker
    of each clip. seeds: variance of a training's mean score between seeds and its degrees of
    freedom, of `resolution.pooled_seed_variance`; (0, 1) takes the trainings as given.

    The variance is the one over clips plus the one over seeds minus the rest, which both hold,
    and at least the larger of the two. Degrees of freedom after Satterthwaite.
    """
    return _crossed(second.mean(0) - first.mean(0), [first, second], clusters, seeds)


def _crossed(
    values: np.ndarray, rows: list[np.ndarray], clusters: np.ndarray, seeds: tuple[float, int]
) -> Estimate:
    """Of values (n,), each the mean over seeds of one row's score, or of two rows' difference."""
    trainings, clips = rows[0].shape
    (by_clips, _), of_clips = clustered_variance(values, clusters), cluster_degrees(clusters)
    if trainings == 1:
        return Estimate(float(values.mean()), by_clips, of_clips)
    by_seeds, degrees = len(rows) * seeds[0] / trainings, seeds[1]
    both = len(rows) * rest_variance(*rows) / (clips * trainings)
    variance = by_clips + by_seeds - min(by_clips, by_seeds, both)
    parts = by_clips**2 / of_clips + by_seeds**2 / degrees
    return Estimate(float(values.mean()), variance, variance**2 / parts if parts else of_clips)


def variance_components(
    first: np.ndarray, second: np.ndarray, clusters: np.ndarray, seeds: tuple[float, int]
) -> Components:
    """c, v and e of two rows' scores (S, n), none below 0; v from `seeds`, nan with one seed.

    clusters (n,): the speaker of each clip. c holds for clips that come in such clusters: n times
    the clustered variance of the mean. With one seed c is the variance of the two trainings'
    difference, the rest included.
    """
    trainings, clips = first.shape
    spread = clips * clustered_variance(second.mean(0) - first.mean(0), clusters)[0]
    if trainings == 1:
        return Components(float(spread), math.nan, math.nan)
    rest = rest_variance(first, second)
    return Components(
        clips=max(0.0, float(spread) - 2 * rest / trainings),
        trainings=max(0.0, seeds[0] - rest / clips),
        rest=rest,
    )
