"""Are trainings that were made again as accurate as the recorded ones, within a tolerance?

Each training of a cell (one a seed) is compared with its own record on the same clips. They are
equal within the tolerance when for every seed the 95% interval of the difference in accuracy
(evaluation.resolution.compare_rows: over speakers where they are known, else over clips, Agresti &
Min, Statistics in Medicine 2005) lies within -tolerance .. +tolerance. All seeds must pass, so that
no correction for their number is needed (intersection-union test, Berger, Technometrics 1982); the
mean over seeds, which the table prints, then lies within the tolerance too.

A test that finds no difference proves nothing with few clips. Therefore "not shown to differ" is
not "equal": where the interval is wider than the tolerance the answer is 'not resolved'.
"""

import math

import pandas as pd

from visemix.evaluation.resolution import compare_rows
from visemix.evaluation.statistics import LEVEL, holm

IDENTICAL, WITHIN = "identical", "within the tolerance"
DIFFERENT, UNRESOLVED = "different", "not resolved"


def compare_predictions(
    recorded: list[pd.DataFrame], remade: list[pd.DataFrame], seeds: list[int], tolerance: float
) -> dict:
    """Compare prediction tables, one a seed, of the record and of the run that was made again.

    Args:
        tolerance: percentage points of accuracy.

    Returns:
        n (clips); difference, the mean over seeds of remade minus recorded accuracy, and low..high,
        the range that holds every seed's interval, in percentage points; p, the smallest over the
        seeds after Holm's correction; clusters, the speakers (n where they are not known: then p is
        McNemar's, else of a t-test over them); outcome, IDENTICAL (every
        value of every prediction) or one of the others above; seeds,
        entries {seed, difference, low, high, p, only_recorded, only_remade}.

    Raises:
        ValueError: the tables do not hold the same clips.
    """
    rows = []
    for seed, before, after in zip(seeds, recorded, remade, strict=True):
        result = compare_rows([before], [after], (math.nan, 0))
        rows.append(
            {
                "seed": seed,
                "difference": 100 * result["difference"],
                "low": 100 * result["low"],
                "high": 100 * result["high"],
                "p": result["p"],
                "only_recorded": result["only_first"],
                "only_remade": result["only_second"],
            }
        )
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    p = min(holm([row["p"] for row in rows]))
    outcome = DIFFERENT if p < LEVEL else UNRESOLVED
    if -tolerance <= low and high <= tolerance:
        outcome = WITHIN  # a difference may be certain and yet as small as was agreed
    if all(map(pd.DataFrame.equals, recorded, remade)):
        outcome = IDENTICAL
    return {
        "n": len(recorded[0]),
        "difference": sum(row["difference"] for row in rows) / len(rows),
        "low": low,
        "high": high,
        "p": p,
        "clusters": result["clusters"],
        "outcome": outcome,
        "seeds": rows,
    }
