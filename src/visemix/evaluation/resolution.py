"""What two rows of a table can say about each other, and what a test set could resolve at all."""

import math

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binom, nct, t

from visemix.evaluation.crossed import cluster_degrees, clustered_variance, crossed_difference
from visemix.evaluation.statistics import paired_comparison, speakers_of

POWER = 0.8  # with which a detectable difference is found


def pooled_seed_variance(rows: list[list[pd.DataFrame]]) -> tuple[float, int]:
    """Variance of accuracy (0..1, squared) between trainings that differ in their seed alone.

    rows: for each row of a table its prediction tables, one a seed. The variance is taken to be
    the same for all rows, because two or three seeds a row say too little about it. Returns the
    pooled variance and its degrees of freedom, (nan, 0) with one seed a row.
    """
    spread = [np.var([t.correct.mean() for t in row], ddof=1) for row in rows if len(row) > 1]
    degrees = sum(len(row) - 1 for row in rows)
    return (float(np.mean(spread)), degrees) if spread else (math.nan, 0)


def compare_rows(
    first: list[pd.DataFrame], second: list[pd.DataFrame], seeds: tuple[float, int]
) -> dict:
    """Compare two table rows on the same clips; each is a list of prediction tables, one a seed.

    seeds: of `pooled_seed_variance`. Returns n (clips); clusters, the number of speakers, with
    clips whose speaker is not known as one each (statistics.speakers_of); difference (accuracy of
    the second minus the first, -1..1) with its 95% interval low..high and p; p_mcnemar, the exact
    McNemar test of the first seeds; only_first and only_second, the clips that only one of these
    got right; detectable and detectable_over_seeds, the smallest true difference that is found with
    80% power on this test set between two given trainings (McNemar; a t-test over speakers where
    one has several clips), and between rows (nan with one seed). With several seeds p and the
    interval allow for other clips and other trainings (crossed.crossed_difference). With one seed
    nothing is known about other trainings: p and interval hold for these two only, and are
    p_mcnemar and Agresti & Min's (Statistics in Medicine 2005) where no speaker has two clips, else
    of a t-test over speakers.
    Raises ValueError when the clips or the numbers of seeds differ.
    """
    pairs = [paired_comparison(a, b) for a, b in zip(first, second, strict=True)]
    n, one = pairs[0].n, pairs[0]
    clusters = speakers_of(named_clips([*first, *second]))
    found = crossed_difference(scores(first), scores(second), clusters, seeds)
    (low, high), p = found.interval, found.p
    detectable = minimum_detectable_difference(n, (one.only_first + one.only_second) / n)
    if len(set(clusters)) < n:
        variance, _ = clustered_variance(scores(second[:1])[0] - scores(first[:1])[0], clusters)
        degrees = cluster_degrees(clusters)
        detectable = detectable_by_t_test(variance, degrees) if variance else math.nan
    elif len(pairs) == 1:
        only_first, only_second = one.only_first + 0.5, one.only_second + 0.5
        centre = (only_second - only_first) / (n + 2)
        spread = math.sqrt((only_first + only_second) / (n + 2) - centre**2) / math.sqrt(n + 2)
        low, high, p = centre - 1.96 * spread, centre + 1.96 * spread, one.p
    over_seeds = detectable_by_t_test(found.variance, found.degrees) if len(pairs) > 1 else math.nan
    return {
        "n": n,
        "clusters": len(set(clusters)),
        "difference": found.mean,
        "low": float(low),
        "high": float(high),
        "p": float(p),
        "p_mcnemar": one.p,
        "only_first": one.only_first,
        "only_second": one.only_second,
        "detectable": detectable,
        "detectable_over_seeds": over_seeds,
    }


def named_clips(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The clips of prediction tables of the same clips, by clip_id, with who speaks them.

    Tables of older evaluations lack the speakers of rejected clips: any that names one counts.
    """
    clips = tables[0][["clip_id"]].sort_values("clip_id", ignore_index=True)
    speakers = pd.Series("", index=clips["clip_id"])
    for table in tables:
        if "speaker" in table:
            named = table.set_index("clip_id")["speaker"].reindex(speakers.index)
            speakers = speakers.where(speakers != "", named)
    return clips.assign(speaker=speakers.to_numpy())


def scores(tables: list[pd.DataFrame]) -> np.ndarray:
    """Column `correct` of the tables of one row, (seeds, clips) in the order of clip_id."""
    columns = [table.set_index("clip_id").correct.sort_index().to_numpy(float) for table in tables]
    return np.stack(columns)


def detectable_by_t_test(variance: float, degrees: float) -> float:
    """Smallest true difference that a two-sided t-test at 5% finds with the power POWER.

    variance: of the observed difference; degrees: its degrees of freedom.
    """
    return math.sqrt(variance) * noncentrality(degrees)


def noncentrality(degrees: float) -> float:
    """How many standard errors of difference a t-test at 5% needs to find it with POWER."""
    limit = t.ppf(0.975, degrees)
    return brentq(lambda shift: nct.sf(limit, degrees, shift) - POWER, 0, 100 * limit)


def minimum_detectable_difference(n: int, discordant: float) -> float:
    """Smallest true accuracy difference that an exact McNemar test at 5% finds with POWER.

    n: test clips; discordant: proportion of clips (0..1) on which the two recognisers differ in
    being right. Returns a proportion in 0..discordant, or nan when so few clips are discordant that
    even an entirely one-sided outcome cannot reach 5%.
    """
    clips = round(n * discordant)
    # largest count k for which both tails together stay below 5%
    limit = int(binom.ppf(0.025, clips, 0.5)) - 1 if clips else -1
    while limit >= 0 and 2 * binom.cdf(limit, clips, 0.5) > 0.05:
        limit -= 1
    if limit < 0:
        return math.nan

    def found(better: float) -> float:  # better: proportion of discordant clips in its favour
        return binom.cdf(limit, clips, 1 - better) + binom.sf(clips - limit - 1, clips, 1 - better)

    better = brentq(lambda p: found(p) - POWER, 0.5, 1 - 1e-9)
    return (2 * better - 1) * discordant
