"""N, how often the real clips count in a mixture: how it is written."""

import math
from fractions import Fraction


def repeats_value(text: str | float) -> Fraction | float:
    """N as an exact number, from '1/3', '1d3', 0.5 or 'inf'; infinity is the float.

    Raises ValueError for anything else and for a negative N.
    """
    written = str(text).strip().removeprefix(".")
    if written == "inf":
        return math.inf
    try:
        value = Fraction(str(text).replace("d", "/"))
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if value < 0:
        raise ValueError(f"N is {text!r}; write a number from 0, a fraction such as 1/3, or .inf")
    return value
