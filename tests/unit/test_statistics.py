import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from visemix.evaluation.statistics import holm, mcnemar, paired_comparison, wilson_interval


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_is_its_closed_form(n, share):
    k, z = round(share * n), norm.ppf(0.975)
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = wilson_interval(k, n)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_known_intervals():
    # Newcombe (Statistics in Medicine 1998), table I: 81/263, 15/148, 0/20, 1/29.
    for k, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson_interval(k, n) == pytest.approx((low, high), abs=5e-5)
    with pytest.raises(ValueError, match="5 correct of 4"):
        wilson_interval(5, 4)


def test_known_mcnemar_values():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 1024)
    assert mcnemar(9, 1) == mcnemar(1, 9)


def table(correct: dict[str, bool]) -> pd.DataFrame:
    return pd.DataFrame({"clip_id": list(correct), "correct": list(correct.values())})


def test_comparison_joins_on_clips_whatever_their_order():
    first = table({"a": True, "b": True, "c": False, "d": False, "e": True})
    second = table({"e": True, "d": True, "c": False, "b": False, "a": True})
    found = paired_comparison(first, second)
    assert (found.n, found.both, found.neither) == (5, 2, 1)
    assert (found.only_first, found.only_second) == (1, 1)
    assert found.difference == 0
    assert found.p == 1
    assert paired_comparison(first, first).p == 1


def test_other_clips_are_an_error():
    with pytest.raises(ValueError, match=r"2 clips are in one table only, 'b'"):
        paired_comparison(table({"a": True, "b": True}), table({"a": True, "c": True}))
    twice = pd.DataFrame({"clip_id": ["a", "a"], "correct": [True, False]})
    with pytest.raises(ValueError, match="more than once"):
        paired_comparison(twice, table({"a": True}))


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1, never less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.3, 0.9]) == pytest.approx([0.6, 0.9])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_p_values_and_bonferroni_in_their_order(p_values):
    adjusted = np.array(holm(p_values))
    p_values = np.array(p_values)
    assert (adjusted >= p_values).all()
    assert (adjusted <= np.minimum(1, len(p_values) * p_values) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p_values, kind="stable")]) >= 0).all()


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([float("nan")])
