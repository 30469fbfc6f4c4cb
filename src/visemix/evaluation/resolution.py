"""What two rows of a table can say about each other, and what a test set could resolve at all."""

import math

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binom, t

from visemix.evaluation.statistics import paired_comparison


def pooled_seed_variance(rows: list[list[pd.DataFrame]]) -> tuple[float, int]:
    """Variance of accuracy (0..1, squared) between trainings that differ in their seed alone.

    rows: for each row of a table its prediction tables, one a seed. The variance is taken to be
    the same for all rows, because two or three seeds a row say too little about it. Returns the
    pooled variance and its degrees of freedom, (nan, 0) with one seed a row.
    """
    spread = [np.var([t.correct.mean() for t in row], ddof=1) for row in rows if len(row) > 1]
    freedom = sum(len(row) - 1 for row in rows)
    return (float(np.mean(spread)), freedom) if spread else (math.nan, 0)


def compare_rows(
    first: list[pd.DataFrame], second: list[pd.DataFrame], seeds: tuple[float, int]
) -> dict:
    """Compare two table rows on the same clips; each is a list of prediction tables, one a seed.

    seeds: of `pooled_seed_variance`. Returns n (clips); difference (accuracy of the second minus
    the first, -1..1) with its 95% interval low..high; p_mcnemar, the exact McNemar test of the
    first seeds; only_first and only_second, the clips that only one of these got right; and p.
    With several seeds p and the interval allow for both other clips and other trainings: a t-test
    with the variance of the clips' mean gain plus 2 s^2 / S (Welch-Satterthwaite degrees of
    freedom). With one seed nothing is known about other trainings: p is p_mcnemar, the interval
    that of Agresti & Min (Statistics in Medicine 2005), and both hold for these two trainings only.
    Raises ValueError when the clips or the numbers of seeds differ.
    """
    pairs = [paired_comparison(a, b) for a, b in zip(first, second, strict=True)]
    n, one = pairs[0].n, pairs[0]
    if len(pairs) == 1:
        only_first, only_second = one.only_first + 0.5, one.only_second + 0.5
        centre = (only_second - only_first) / (n + 2)
        spread = math.sqrt((only_first + only_second) / (n + 2) - centre**2) / math.sqrt(n + 2)
        low, high, p = centre - 1.96 * spread, centre + 1.96 * spread, one.p
    else:
        gain = _mean_correct(second) - _mean_correct(first)
        variance, freedom = seeds
        clips, trainings = gain.var(ddof=1) / n, 2 * variance / len(pairs)
        total = clips + trainings
        parts = clips**2 / (n - 1) + trainings**2 / freedom
        freedom = total**2 / parts if parts else 1
        reach = t.ppf(0.975, freedom) * math.sqrt(total)
        low, high = gain.mean() - reach, gain.mean() + reach
        p = 2 * t.sf(abs(gain.mean()) / math.sqrt(total), freedom) if total else 1.0
    return {
        "n": n,
        "difference": float(np.mean([pair.difference for pair in pairs])),
        "low": float(low),
        "high": float(high),
        "p": float(p),
        "p_mcnemar": one.p,
        "only_first": one.only_first,
        "only_second": one.only_second,
    }


def _mean_correct(tables: list[pd.DataFrame]) -> np.ndarray:
    """Share of seeds that got each clip right, in the order of clip_id."""
    columns = [table.set_index("clip_id").correct.sort_index().to_numpy(float) for table in tables]
    return np.mean(columns, axis=0)


def minimum_detectable_difference(n: int, discordant: float, power: float = 0.8) -> float:
    """Smallest true accuracy difference that an exact McNemar test at 5% finds with `power`.

    n: test clips; discordant: share of clips (0..1) on which the two recognisers differ in being
    right. Returns a share in 0..discordant, or nan when so few clips are discordant that even an
    entirely one-sided outcome cannot reach 5%.
    """
    clips = round(n * discordant)
    # largest count k for which both tails together stay below 5%
    limit = int(binom.ppf(0.025, clips, 0.5)) - 1 if clips else -1
    while limit >= 0 and 2 * binom.cdf(limit, clips, 0.5) > 0.05:
        limit -= 1
    if limit < 0:
        return math.nan

    def lacking(share: float) -> float:  # share of discordant clips that favour the better one
        return binom.cdf(limit, clips, 1 - share) + binom.sf(clips - limit - 1, clips, 1 - share)

    share = brentq(lambda s: lacking(s) - power, 0.5, 1 - 1e-9)
    return (2 * share - 1) * discordant
