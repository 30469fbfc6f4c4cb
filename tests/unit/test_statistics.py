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
    accuracy_interval,
    bootstrap_interval,
    cluster_rows,
    clustered_by,
    holm,
    mcnemar,
    paired_comparison,
    speakers_of,
    verdict,
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
    assert (found.n, found.only_first, found.only_second) == (5, 1, 1)
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


def test_a_clip_without_a_name_is_a_cluster_of_its_own_and_only_it():
    clips = pd.DataFrame({"clip_id": ["a", "b", "c"], "speaker": ["x", "x", "y"]})
    by_speaker = ["speaker x", "speaker x", "speaker y"]
    assert speakers_of(clips).tolist() == by_speaker
    alone = ["clip a", "clip b", "clip c"]
    for unknown in (["x", "", "x"], ["x", "x", "x"], ["", "", ""]):  # fewer than two are named
        assert speakers_of(clips.assign(speaker=unknown)).tolist() == alone
    assert speakers_of(clips[["clip_id"]]).tolist() == alone
    more = pd.DataFrame({"clip_id": ["x", "d"], "speaker": ["", ""]})
    partly = speakers_of(pd.concat([clips, more]))
    assert partly.tolist() == [*by_speaker, "clip x", "clip d"]  # not with the speaker x
    assert clustered_by(partly) == "speaker (2 clips of unknown speakers, each by itself)"
    assert clustered_by(speakers_of(clips)) == "speaker"
    assert clustered_by(np.array(alone)) == "clip (speakers not known)"


def four_speakers(rejected: int, named: bool):
    """1000 clips of each of four speakers, read in 51 to 85%; the first `rejected` are not."""
    rng = np.random.default_rng(1)
    right = np.concatenate([rng.random(1000) < share for share in (0.51, 0.57, 0.75, 0.85)])
    clips = pd.DataFrame({"clip_id": [f"c{i:04}" for i in range(4000)], "correct": right})
    clips["speaker"] = np.repeat(["s1", "s2", "s3", "s4"], 1000)
    clips["rejected"] = clips.index < rejected
    clips.loc[clips.rejected, "correct"] = False
    if not named:
        clips.loc[clips.rejected, "speaker"] = ""
    return clips


@pytest.mark.parametrize("named", [True, False])
def test_a_rejected_clip_does_not_make_speakers_of_all_clips(named):
    """With one rejected clip there were 4000 clusters, and a width of 0.03 instead of 0.25."""
    clean = four_speakers(0, named)
    low, high = bootstrap_interval(clean.correct.to_numpy(float), speakers_of(clean))
    assert high - low > 0.2
    for rejected in (1, 40):
        clips = four_speakers(rejected, named)
        clusters = speakers_of(clips)
        assert len(set(clusters)) == 4 + (0 if named else rejected)
        found = bootstrap_interval(clips.correct.to_numpy(float), clusters)
        assert found == pytest.approx((low, high), abs=0.06)
        wider = accuracy_interval(clips.correct.to_numpy(float), clusters)
        assert wider[0] <= found[0] and found[1] <= wider[1]
    assert accuracy_interval(np.ones(40), np.repeat(["a", "b"], 20)) == wilson_interval(40, 40)
    assert accuracy_interval(np.ones(40), np.arange(40)) == wilson_interval(40, 40)


def test_clusters_are_rows_of_each_name():
    assert [rows.tolist() for rows in cluster_rows(np.array(["b", "a", "b"]))] == [[1], [0, 2]]
    assert cluster_rows(np.array([])) == []


def test_a_difference_is_resolved_by_the_corrected_p_and_more_than_one_training():
    assert verdict(3, 0.049, seeds=2) == "resolved, higher"
    assert verdict(-3, 0.049, seeds=5) == "resolved, lower"
    assert verdict(3, 0.05, seeds=2) == verdict(3, float("nan"), seeds=2) == "not resolved"
    for p in (1e-9, 0.5):
        assert verdict(3, p, seeds=1) == "not resolved: one training a row"
