"""What one test set could say about published values whose predictions nobody has."""

import math
from collections.abc import Sequence

from scipy.stats import norm

Z = float(norm.ppf(0.975))


def independent_z(gain: float, values: Sequence[float], n: int, design_effect: float = 1) -> float:
    """z of a gain when its values were measured on separate test sets of n units each.

    gain: in 0..1; values: the accuracies or error rates that it is the sum or difference of (a word
    error rate may be above 1, and is then taken as a count, Poisson); design_effect: factor of
    their variance, above 1 for words, of which several come from one sentence.
    """
    variances = [value * (1 - value) if value < 1 else value for value in values]
    return gain / math.sqrt(sum(variances) * design_effect / n)


def most_discordant(gain: float, n: int, design_effect: float = 1) -> float:
    """Largest proportion of units that two systems may disagree on for a gain to be significant.

    gain: difference of their accuracies or error rates, 0..1. McNemar's test at 5%, approximated by
    the normal distribution: z = gain sqrt(n / (discordant design_effect)).
    """
    return min(1.0, (gain / Z) ** 2 * n / design_effect)
