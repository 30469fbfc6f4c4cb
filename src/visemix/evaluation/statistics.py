"""Uncertainty of accuracies, and of differences between recognisers tested on the same clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest, bootstrap

CONFIDENCE = 0.95  # of all intervals


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """95% Wilson score interval of a proportion (Wilson, JASA 1927): (low, high) in [0, 1]."""
    if not 0 <= correct <= n or n < 1:
        raise ValueError(f"{correct} correct of {n}; at least one clip is needed")
    interval = binomtest(int(correct), int(n)).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def speakers_of(clips: pd.DataFrame) -> np.ndarray:
    """Cluster of each clip of a table (columns clip_id and, where known, speaker): names (n,).

    A clip's cluster is its speaker; a clip whose speaker is not known ("") is a cluster of its own,
    and only it. LRW does not say who speaks. There, and where fewer than two speakers are named,
    every clip is a cluster of its own, which makes intervals too narrow if a few people speak many
    of the clips.
    """
    own = "clip " + clips["clip_id"].astype(str)  # never the name of a speaker
    if "speaker" in clips:
        speakers = clips["speaker"]
        if speakers[speakers != ""].nunique() > 1:
            return np.where(speakers != "", "speaker " + speakers.astype(str), own)
    return own.to_numpy()


def clustered_by(clusters: np.ndarray) -> str:
    """What the clusters of `speakers_of` are, in words."""
    alone = sum(name.startswith("clip ") for name in clusters)
    if alone == len(clusters):
        return "clip (speakers not known)"
    if not alone:
        return "speaker"
    return f"speaker ({alone} clip{'s' * (alone > 1)} of unknown speakers, each by itself)"


def cluster_rows(clusters: np.ndarray) -> list[np.ndarray]:
    """Positions of the clips of each cluster, from clusters (n,) of names."""
    _, number = np.unique(clusters, return_inverse=True)
    order = np.argsort(number, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(number[order])) + 1) if len(order) else []


def accuracy_interval(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """95% interval of an accuracy, the mean of values (n,) in 0..1, for other clips and speakers.

    Wilson's over clips; where speakers have several clips (`clusters` of `speakers_of`), the wider
    of that and `bootstrap_interval`, which has no width where all values are equal.
    """
    n = len(values)
    low, high = wilson_interval(round(float(np.mean(values)) * n), n)
    if len(set(clusters)) < n:
        by_speakers = bootstrap_interval(values, clusters)
        low, high = min(low, by_speakers[0]), max(high, by_speakers[1])
    return low, high


def bootstrap_interval(
    values: np.ndarray, clusters: np.ndarray, resamples: int = 2000
) -> tuple[float, float]:
    """95% percentile bootstrap interval of the mean of values (n,) in clusters (n,) of names.

    Whole clusters are drawn with replacement, so that the interval is for other speakers too
    (Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). With fewer than
    some 20 clusters it is too narrow. The draws are the same in every call.
    """
    _, number = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(number, values), np.bincount(number)
    if len(sums) < 2:
        raise ValueError(f"all {len(values)} values are of one cluster; at least two are needed")
    found = bootstrap(
        (sums, sizes), lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis), paired=True,
        n_resamples=resamples, batch=100, confidence_level=CONFIDENCE, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact McNemar test (Psychometrika 1947) from the discordant pairs; p in [0, 1].

    `only_first` clips were right for the first recogniser alone, `only_second` for the second
    alone. Without discordant pairs nothing speaks for a difference: p = 1.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts {only_first} and {only_second} must not be negative")
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm, Scandinavian Journal of Statistics 1979).

    In the order given, each in [0, 1]: rejecting where the adjusted value is at most 5% keeps the
    probability of any false rejection among all of them below 5%.
    """
    p = np.asarray(p_values, float)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p values {p.tolist()} must lie between 0 and 1")
    order = np.argsort(p, kind="stable")
    stepped = p[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted.tolist()


LEVEL = 0.05
HIGHER, LOWER = "resolved, higher", "resolved, lower"
UNRESOLVED, ONE_TRAINING = "not resolved", "not resolved: one training a row"
VERDICTS = (HIGHER, LOWER, UNRESOLVED, ONE_TRAINING)


def verdict(difference: float, p_holm: float, seeds: int) -> str:
    """What may be said of a difference between rows, one of VERDICTS: the one rule of all tables.

    It is resolved where p, corrected (`holm`) for all comparisons of the table that it stands in,
    is below LEVEL, and each row is more than one training (`seeds`), because of one training a row
    nothing says what another seed would give.
    """
    if seeds < 2:
        return ONE_TRAINING
    if not p_holm < LEVEL:
        return UNRESOLVED
    return HIGHER if difference > 0 else LOWER


@dataclass(frozen=True)
class Comparison:
    """Two recognisers on the same clips."""

    n: int
    only_first: int  # clips right for the first alone
    only_second: int
    p: float  # exact McNemar


def paired_comparison(first: pd.DataFrame, second: pd.DataFrame) -> Comparison:
    """Compare two prediction tables (columns clip_id, correct) clip by clip.

    Raises ValueError when the tables do not hold the same clips, each once.
    """
    for name, table in (("first", first), ("second", second)):
        repeated = table["clip_id"][table["clip_id"].duplicated()]
        if len(repeated):
            raise ValueError(f"the {name} table holds clip {repeated.iloc[0]!r} more than once")
    odd = sorted(set(first["clip_id"]) ^ set(second["clip_id"]))
    if odd:
        raise ValueError(
            f"{len(odd)} clips are in one table only, {odd[0]!r} for one; a paired comparison "
            "needs the same test set: evaluate both recognisers on it"
        )
    if first.empty:
        raise ValueError("the tables hold no clip")
    a, b = (t.set_index("clip_id")["correct"].sort_index().to_numpy(bool) for t in (first, second))
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    return Comparison(len(a), only_first, only_second, mcnemar(only_first, only_second))
