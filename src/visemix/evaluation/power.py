"""How many test clips and seeds would show a difference between two rows of a table?

All answers are for the t-test of `crossed.crossed_difference` at 5%, two-sided, and for variances
that are taken to be those observed; they are as uncertain as these are.
"""

import math
from typing import NamedTuple

from scipy.stats import norm

from visemix.evaluation.crossed import Components
from visemix.evaluation.resolution import POWER, detectable_by_t_test

MOST_SEEDS, MOST_CLIPS = 10_000, 10**9


class Design(NamedTuple):
    """What is kept while clips and seeds are varied."""

    components: Components
    rows: int  # of the table, over which the variance between seeds is pooled


def detectable(design: Design, clips: float, seeds: int) -> float:
    """Smallest difference (0..1) between rows found with POWER; clips may be math.inf."""
    c, v, e = design.components
    by_clips = (c + 2 * e / seeds) / clips
    by_seeds = 2 * (v + e / clips) / seeds
    variance = by_clips + by_seeds - 2 * e / (clips * seeds)
    # Satterthwaite, as in crossed_difference; the clips' own degrees of freedom are many
    degrees = design.rows * (seeds - 1) * (variance / by_seeds) ** 2 if by_seeds else math.inf
    return detectable_by_t_test(variance, min(degrees, clips - 1, 1e6))


def seeds_needed(design: Design, difference: float, clips: float) -> int | None:
    """Fewest seeds a row, 2 or more, that show `difference` on so many clips.

    None when MOST_SEEDS do not, as a rule because the clips are too few.
    """
    return _least(lambda seeds: detectable(design, clips, seeds) <= difference, 2, MOST_SEEDS)


def clips_needed(design: Design, difference: float, seeds: int) -> int | None:
    """Fewest clips that show `difference` with so many seeds a row; None when none do."""
    return _least(lambda clips: detectable(design, clips, seeds) <= difference, 2, MOST_CLIPS)


def clips_needed_given_trainings(discordant: float, difference: float) -> int:
    """Clips that show `difference` between two given trainings (Connor, Biometrics 1987, eq. 4).

    discordant: proportion of clips on which they disagree in being right; at least `difference`,
    which it cannot be below. McNemar's test at 5%, approximated by the normal distribution.
    """
    d = max(discordant, difference)
    reach = norm.ppf(0.975) * math.sqrt(d) + norm.ppf(POWER) * math.sqrt(d - difference**2)
    return math.ceil((reach / difference) ** 2)


def _least(enough, low: int, high: int) -> int | None:
    """The least number in low..high that is enough; None when none is. More is never worse."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low
