"""When trainings that were made again count as equal to the recorded ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.audit.comparison import compare_predictions


def predictions(correct):
    ids = [f"clip-{number:05d}" for number in range(len(correct))]
    return pd.DataFrame({"clip_id": ids, "correct": np.asarray(correct, bool)})


def with_flips(n, lost, gained):
    """Prediction tables of n clips, three in four right, of which some are lost or gained."""
    before = np.arange(n) % 4 != 0
    after = before.copy()
    after[np.flatnonzero(before)[:lost]] = False
    after[np.flatnonzero(~before)[:gained]] = True
    return predictions(before), predictions(after)


def outcome(pairs, tolerance=1.0):
    recorded, remade = zip(*pairs, strict=True)
    return compare_predictions(recorded, remade, list(range(len(pairs))), tolerance)


def test_identical_predictions_are_identical_however_few():
    assert outcome([with_flips(8, 0, 0)])["outcome"] == "identical"


def test_few_changes_among_many_clips_are_within_a_point():
    result = outcome([with_flips(4000, 10, 12)])
    assert result["outcome"] == "within the tolerance"
    assert result["difference"] == pytest.approx(100 * 2 / 4000)
    assert -1 <= result["low"] < result["high"] <= 1
    assert result["n"] == 4000


def test_no_difference_among_few_clips_is_not_equality():
    result = outcome([with_flips(20, 1, 1)])
    assert result["difference"] == 0
    assert result["p"] == 1
    assert result["outcome"] == "not resolved"


def test_a_certain_difference_beyond_the_tolerance_is_different():
    assert outcome([with_flips(4000, 200, 0)])["outcome"] == "different"


def test_a_certain_difference_within_the_tolerance_is_within_it():
    result = outcome([with_flips(40000, 100, 0)])
    assert result["p"] < 0.05
    assert result["outcome"] == "within the tolerance"


def test_every_seed_must_be_equal_to_its_own_record():
    up, down = with_flips(4000, 0, 200), with_flips(4000, 200, 0)
    result = outcome([up, down])  # the mean over the seeds hides both
    assert result["difference"] == pytest.approx(0)
    assert result["outcome"] == "different"
    assert [row["difference"] for row in result["seeds"]] == pytest.approx([5, -5])


def test_other_clips_cannot_be_compared():
    with pytest.raises(ValueError, match="in one table only"):
        outcome([(predictions([True] * 5), predictions([True] * 6))])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_a_wider_tolerance_never_turns_equal_into_different(answers):
    before, after = (predictions(column) for column in zip(*answers, strict=True))
    tolerances = [0.5, 5, 20, 100]
    found = [outcome([(before, after)], t)["outcome"] for t in tolerances]
    within = [name in ("within the tolerance", "identical") for name in found]
    assert within == sorted(within)
