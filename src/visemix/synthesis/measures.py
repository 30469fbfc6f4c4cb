"""How good the clips of a generator are: pure functions of crops, landmarks and features.

Reconstruction is measured on clips that a generator made from a real clip's own first frame and
sound, against that real clip. Distances between distributions (FID: Heusel et al., arXiv
1706.08500; KID: Binkowski et al., arXiv 1801.01401) are taken on the features of a front-end of
ours, not on Inception's, so that they compare with no published FID or KID. Every measure comes
with its n and a 95% interval over clusters of clips (statistics.speakers_of: a speaker's clips
together; None: each clip by itself), because the frames of a clip are not independent, nor are the
clips of a speaker.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import t

from visemix.evaluation.statistics import accuracy_interval, cluster_rows

RESAMPLES = 2000
GROUPS = 50  # of the jackknife, at most
MOUTH = slice(3, 5)  # of RetinaFace's five points: the corners of the mouth


def landmark_distance(made: np.ndarray, true: np.ndarray) -> float:
    """Mean Euclidean distance of corresponding landmarks (T, N, 2), in their unit."""
    if made.shape != true.shape or made.ndim != 3 or made.shape[2] != 2:
        raise ValueError(f"landmarks are {made.shape} and {true.shape}; both must be (T, N, 2)")
    return float(np.linalg.norm(made - true, axis=2).mean())


def frechet_distance(made: np.ndarray, true: np.ndarray) -> float:
    """FID of features (n, d) and (m, d): |mu - mu'|^2 + tr(C + C' - 2 (C C')^1/2), at least 0.

    Biased upwards for small samples; only values of equal n are comparable. Raises ValueError for
    fewer than two vectors.
    """
    (mean, cov), (other_mean, other_cov) = _mean_and_covariance(made), _mean_and_covariance(true)
    # tr (C C')^1/2 is the sum of the roots of the eigenvalues of C C', which are not negative
    roots = np.sqrt(np.linalg.eigvals(cov @ other_cov).real.clip(0)).sum()
    distance = np.sum((mean - other_mean) ** 2) + np.trace(cov + other_cov) - 2 * roots
    return float(max(distance, 0.0))


def _mean_and_covariance(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise ValueError(f"{len(features)} feature vectors; a covariance needs at least 2")
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def clip_kernel(made: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> np.ndarray:
    """(n, n) terms h(i, j) of KID's U-statistic for n clips; made, true: features (T, d) a clip.

    h(i, j) = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i) (Gretton et al., JMLR 2012,
    lemma 6) with the cubic kernel (x.y / d + 1)^3 averaged over the frames of two clips.
    """
    cross = _mean_kernel(made, true)
    return _mean_kernel(made, made) + _mean_kernel(true, true) - cross - cross.T


def _mean_kernel(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    lengths = np.array([len(clip) for clip in second])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    joined = np.concatenate(second).astype(np.float64)
    rows = []
    for clip in first:
        values = (clip.astype(np.float64) @ joined.T / joined.shape[1] + 1) ** 3  # (T, all)
        rows.append(np.add.reduceat(values.mean(0), starts) / lengths)
    return np.stack(rows)


def kernel_distance(terms: np.ndarray) -> float:
    """KID, unbiased (it may be negative), from the terms of `clip_kernel`: their mean over i != j.

    Pairs within a clip, and a real clip with its own reconstruction, are left out.
    """
    n = len(terms)
    if n < 2:
        raise ValueError(f"{n} clips; KID needs at least 2")
    return float((terms.sum() - np.trace(terms)) / (n * (n - 1)))


def fid_measure(
    made: Sequence[np.ndarray], true: Sequence[np.ndarray], clusters: np.ndarray | None = None
) -> dict:
    """FID between the frames of n made and n true clips, features (T, d) each, as a measure.

    `frames` is their number on each side.
    """

    def distance(rows: np.ndarray) -> float:
        return frechet_distance(*(np.concatenate([x[i] for i in rows]) for x in (made, true)))

    found = jackknife_measure(distance, len(made), clusters) | {"frames": sum(map(len, made))}
    if found["low"] is not None:
        found["low"] = max(found["low"], 0.0)
    return found


def kid_measure(
    made: Sequence[np.ndarray], true: Sequence[np.ndarray], clusters: np.ndarray | None = None
) -> dict:
    """KID between the frames of n made and n true clips, features (T, d) each, as a measure."""
    terms = clip_kernel(made, true) if made else np.empty((0, 0))

    def distance(rows: np.ndarray) -> float:
        return kernel_distance(terms[np.ix_(rows, rows)])

    return jackknife_measure(distance, len(terms), clusters)


def mean_measure(
    values: Sequence[float] | np.ndarray,
    statistic: Callable = np.mean,
    clusters: np.ndarray | None = None,
) -> dict:
    """{value, low, high, n}: mean (or median) over clips and its 95% percentile bootstrap interval.

    The interval is None with fewer than two clips or with all of one cluster, value too with none.
    """
    values = np.asarray(values, np.float64)
    groups = cluster_rows(np.arange(len(values)) if clusters is None else clusters)
    if len(groups) < 2:
        value = float(statistic(values)) if len(values) else None
        return {"value": value} | _no_interval(len(values))
    rng = np.random.default_rng(0)
    if len(groups) == len(values):
        draws = statistic(values[rng.integers(0, len(values), (RESAMPLES, len(values)))], axis=1)
    else:
        parts = [values[rows] for rows in groups]
        chosen = rng.integers(0, len(parts), (RESAMPLES, len(parts)))
        draws = [statistic(np.concatenate([parts[i] for i in row])) for row in chosen]
    low, high = np.quantile(draws, [0.025, 0.975])
    return _measure(statistic(values), low, high, len(values))


def proportion_measure(right: Sequence[np.ndarray], clusters: np.ndarray | None = None) -> dict:
    """{value, low, high, n} of accuracy, or any proportion, 0..1: see statistics.accuracy_interval.

    right: booleans (n,) for the same n clips, one array a training; several are averaged, and do
    not narrow the interval, because they are of the same clips.
    """
    value = float(np.mean([np.mean(one) for one in right])) if len(right[0]) else None
    if value is None:
        return {"value": None} | _no_interval(0)
    n = len(right[0])
    clusters = np.arange(n) if clusters is None else clusters
    return _measure(value, *accuracy_interval(np.mean(right, axis=0), clusters), n)


def jackknife_measure(
    statistic: Callable[[np.ndarray], float], n: int, clusters: np.ndarray | None = None
) -> dict:
    """{value, low, high, n} of a statistic of clips (row numbers) that is not a mean.

    95% interval by a jackknife that leaves out one of at most GROUPS groups of whole clusters at a
    time. A bootstrap would draw clips twice, which FID and KID take for too little spread. The
    interval is None with fewer than four clips, or with fewer than three clusters.
    """
    rows = np.arange(n)
    of_clusters = cluster_rows(rows if clusters is None else clusters)
    if n < 4 or len(of_clusters) < 3:
        return {"value": statistic(rows) if n >= 2 else None} | _no_interval(n)
    value = statistic(rows)
    order = np.random.default_rng(0).permutation(len(of_clusters))
    groups = [
        np.concatenate([of_clusters[i] for i in part])
        for part in np.array_split(order, min(GROUPS, len(order)))
    ]
    if max(map(len, groups)) > n - 2:
        return {"value": value} | _no_interval(n)  # what is left has no distance
    parts = np.array([statistic(np.setdiff1d(rows, group)) for group in groups])
    g = len(groups)
    error = np.sqrt((g - 1) / g * np.sum((parts - parts.mean()) ** 2))
    reach = t.ppf(0.975, g - 1) * error
    return _measure(value, value - reach, value + reach, n)


def _no_interval(n: int) -> dict:
    return {"low": None, "high": None, "n": n}


def _measure(value, low, high, n: int) -> dict:
    return {"value": float(value), "low": float(low), "high": float(high), "n": n}
