"""What two rows of a table can say about each other, and what a test set could resolve at all."""

import math

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binom, t

from visemix.evaluation.statistics import paired_comparison


def compare_rows(first: list[pd.DataFrame], second: list[pd.DataFrame]) -> dict:
    """Compare two table rows on the same clips; each is a list of prediction tables, one a seed.

    Returns n (clips), difference (accuracy of the second minus the first, -1..1) with its 95%
    interval low..high, p (two-sided), and only_first, only_second (clips of the first seed that
    only one of the two got right). With one seed p is the exact McNemar test and the interval
    that of Agresti & Min (Statistics in Medicine 2005); with several, both come from a paired
    t-test over the clips' mean correctness, which does not cover how seeds differ from others.
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
        spread = gain.std(ddof=1) / math.sqrt(n)
        reach = t.ppf(0.975, n - 1) * spread
        low, high = gain.mean() - reach, gain.mean() + reach
        p = 2 * t.sf(abs(gain.mean()) / spread, n - 1) if spread else 1.0
    return {
        "n": n,
        "difference": float(np.mean([pair.difference for pair in pairs])),
        "low": float(low),
        "high": float(high),
        "p": float(p),
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
