import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from visemix.evaluation.statistics import (
    bootstrap_interval,
    holm,
    mcnemar,
    paired_comparison,
    speakers_of,
    wilson_interval,
)


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


@pytest.mark.parametrize(("k", "n"), [(0, 7), (3, 9), (250, 500), (499, 500)])
def test_wilson_agrees_with_statsmodels(k, n):
    assert wilson_interval(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_agrees_with_statsmodels(only_first, only_second):
    expected = statsmodels_mcnemar([[5, only_first], [only_second, 5]], exact=True).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(min(1, expected))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_agrees_with_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def spoken(speakers, clips, rng):
    """Right or wrong on `clips` clips of each speaker, some of whom are easy to read; the names."""
    shares = rng.beta(2, 2, speakers)
    correct = rng.random((speakers, clips)) < shares[:, None]
    return correct.ravel().astype(float), np.repeat(np.arange(speakers), clips)


def test_the_bootstrap_over_speakers_covers_other_speakers_and_wilson_does_not():
    rng = np.random.default_rng(5)
    held, wilson_held = [], []
    for _ in range(400):
        correct, speakers = spoken(40, 20, rng)
        low, high = bootstrap_interval(correct, speakers, resamples=400)
        held.append(low <= 0.5 <= high)  # the mean of all speakers there could be
        low, high = wilson_interval(int(correct.sum()), len(correct))
        wilson_held.append(low <= 0.5 <= high)
    assert np.mean(held) == pytest.approx(0.94, abs=0.03)
    assert np.mean(wilson_held) < 0.75


def test_the_bootstrap_weighs_speakers_by_their_clips_and_repeats_itself():
    values = np.array([1.0, 1, 1, 1, 1, 1, 0, 0])
    clusters = np.array(["a"] * 6 + ["b"] * 2)
    found = bootstrap_interval(values, clusters)
    assert found == (0, 1)  # of two speakers, one alone may be drawn twice
    alone = bootstrap_interval(values, np.arange(8))
    assert 0 < alone[0] < 0.75 < alone[1] <= 1
    assert bootstrap_interval(values, np.arange(8)) == alone
    with pytest.raises(ValueError, match="of one cluster"):
        bootstrap_interval(values, np.zeros(8))


def test_unknown_speakers_are_clips():
    clips = pd.DataFrame({"clip_id": ["a", "b", "c"], "speaker": ["x", "x", "y"]})
    assert speakers_of(clips).tolist() == ["x", "x", "y"]
    for unknown in (["x", "", "y"], ["x", "x", "x"]):
        assert speakers_of(clips.assign(speaker=unknown)).tolist() == ["a", "b", "c"]
    assert speakers_of(clips[["clip_id"]]).tolist() == ["a", "b", "c"]
