import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp, ttest_rel

from visemix.evaluation.resolution import (
    compare_rows,
    detectable_by_t_test,
    minimum_detectable_difference,
    named_clips,
    pooled_seed_variance,
)


def table(correct):
    ids = [f"clip-{i}" for i in range(len(correct))]
    return pd.DataFrame({"clip_id": ids, "correct": np.asarray(correct, bool)})


ONE_SEED = (math.nan, 0)


def test_one_seed_is_exact_mcnemar_with_an_interval_around_the_difference():
    first = table([1] * 20 + [1] * 4 + [0] * 16 + [0] * 60)
    second = table([1] * 20 + [0] * 4 + [1] * 16 + [0] * 60)
    result = compare_rows([first], [second], ONE_SEED)
    assert (result["only_first"], result["only_second"], result["n"]) == (4, 16, 100)
    assert result["difference"] == pytest.approx(0.12)
    assert result["p"] == result["p_mcnemar"] == pytest.approx(binomtest(4, 20).pvalue)
    assert result["low"] < 0.12 < result["high"]
    assert result["low"] > 0  # agrees with p < 0.05 here


def rows_of(accuracies, rng, n=400):
    return [table(rng.random(n) < accuracy) for accuracy in accuracies]


def test_seeds_that_agree_leave_the_t_test_over_clips():
    rng = np.random.default_rng(0)
    first, second = rows_of([0.4] * 3, rng), rows_of([0.5] * 3, rng)
    result = compare_rows(first, second, (0.0, 4))
    means = [np.mean([f.correct for f in frames], axis=0) for frames in (first, second)]
    assert result["p"] == pytest.approx(ttest_rel(means[1], means[0]).pvalue)
    assert result["difference"] == pytest.approx((means[1] - means[0]).mean())


def test_seeds_that_disagree_hide_a_difference_that_clips_would_show():
    rng = np.random.default_rng(0)
    first, second = rows_of([0.38, 0.42], rng), rows_of([0.46, 0.54], rng)
    variance, freedom = pooled_seed_variance([first, second])
    assert freedom == 2
    assert variance == pytest.approx(
        np.mean([np.var([t.correct.mean() for t in row], ddof=1) for row in (first, second)])
    )
    result = compare_rows(first, second, (variance, freedom))
    assert compare_rows(first, second, (0.0, freedom))["p"] < 0.05 < result["p"]
    assert result["low"] < 0 < result["high"]


def test_false_alarms_are_rare_when_rows_differ_in_seeds_only():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        rows = [rows_of(rng.normal(0.6, 0.04, 2), rng, n=200) for _ in range(5)]
        found.append(compare_rows(rows[0], rows[1], pooled_seed_variance(rows))["p"] < 0.05)
    assert np.mean(found) < 0.08


def of_four(rejected, named):
    """Two rows on 1000 clips of each of four speakers; the second gains on two, loses on two."""
    rng = np.random.default_rng(0)
    gains, rows = np.repeat([0.04, -0.02, 0.03, -0.03], 1000), []
    hard = rng.random(4000)
    for gain in (0, gains):
        row = table(hard < 0.65 + gain).assign(speaker=np.repeat(["a", "b", "c", "d"], 1000))
        row.loc[row.index < rejected, "correct"] = False
        if not named:
            row.loc[row.index < rejected, "speaker"] = ""
        rows.append(row)
    return rows


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("rejected", [0, 1, 40])
def test_rejected_clips_leave_the_comparison_over_speakers(named, rejected):
    """With one rejected clip it was +-0.5 points over 4000 'speakers', p = 0.001, not +-5.5."""
    first, second = of_four(rejected, named)
    result = compare_rows([first], [second], ONE_SEED)
    assert result["clusters"] == 4 + (0 if named else rejected)
    assert (result["high"] - result["low"]) / 2 > 0.03
    assert result["p"] > 0.3
    assert result["detectable"] > 0.04  # by McNemar's test over clips 0.005 would do


def test_whoever_names_the_speakers_of_rejected_clips_is_heard():
    named, _ = of_four(40, True)
    old, _ = of_four(40, False)
    for rows in ([named, old], [old, named]):
        assert named_clips(rows).speaker.tolist() == named.sort_values("clip_id").speaker.tolist()


def test_equal_rows_do_not_differ():
    result = compare_rows([table([1, 0, 1])], [table([1, 0, 1])], ONE_SEED)
    assert (result["difference"], result["p"]) == (0, 1)
    assert math.isnan(pooled_seed_variance([[table([1, 0])]])[0])


def test_other_clips_are_refused():
    with pytest.raises(ValueError, match="same test set"):
        compare_rows([table([1, 0])], [table([1, 0, 1])], ONE_SEED)


def test_simulated_power_agrees():
    n, discordant = 400, 0.3
    smallest = minimum_detectable_difference(n, discordant)
    rng = np.random.default_rng(1)
    clips = round(n * discordant)
    wins = rng.binomial(clips, 0.5 + smallest / discordant / 2, 20_000)
    found = np.mean(
        [binomtest(int(w), clips).pvalue <= 0.05 for w in range(clips + 1)]
        @ np.eye(clips + 1)[:, wins]
    )
    assert found == pytest.approx(0.8, abs=0.02)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(100, 5000), discordant=st.floats(0.1, 0.9))
def test_more_clips_resolve_smaller_differences(n, discordant):
    small, large = (minimum_detectable_difference(m, discordant) for m in (n, 4 * n))
    assert 0 < large < small <= discordant


def test_too_few_discordant_clips_resolve_nothing():
    assert math.isnan(minimum_detectable_difference(100, 0.05))
    assert math.isnan(minimum_detectable_difference(100, 0.0))


def test_speakers_with_many_clips_widen_a_comparison():
    rng = np.random.default_rng(0)
    speakers = np.repeat([f"s{i}" for i in range(20)], 20)
    gain = np.repeat(rng.normal(0.15, 0.3, 20), 20)
    rows = [
        [table(rng.random(400) < 0.4 + better * gain).assign(speaker=speakers) for _ in range(2)]
        for better in (0, 1)
    ]
    unknown = [[frame.assign(speaker="") for frame in row] for row in rows]
    found, naive = (compare_rows(*each, (0.0, 2)) for each in (rows, unknown))
    assert (found["clusters"], naive["clusters"], found["n"]) == (20, 400, 400)
    assert found["difference"] == pytest.approx(naive["difference"])
    assert found["high"] - found["low"] > 1.5 * (naive["high"] - naive["low"])
    # McNemar's test takes clips for independent; with one seed it gives way to speakers, too
    one = compare_rows(rows[0][:1], rows[1][:1], ONE_SEED)
    assert one["p"] > 2 * one["p_mcnemar"]


def test_what_a_comparison_could_detect_is_found_with_that_power():
    rng = np.random.default_rng(1)
    rows = [rows_of(rng.normal(0.6, 0.03, 3), rng, n=200) for _ in range(5)]
    result = compare_rows(rows[0], rows[1], pooled_seed_variance(rows))
    half = (result["high"] - result["low"]) / 2
    assert half < result["detectable_over_seeds"] < 2 * half
    assert result["detectable"] == minimum_detectable_difference(
        200, (result["only_first"] + result["only_second"]) / 200
    )
    alone = compare_rows(rows[0][:1], rows[1][:1], ONE_SEED)
    assert math.isnan(alone["detectable_over_seeds"])


def test_the_t_test_has_the_power_it_says():
    rng = np.random.default_rng(2)
    n = 8
    shift = detectable_by_t_test(1 / n, n - 1)
    p_values = ttest_1samp(rng.normal(shift, 1, (20_000, n)), 0, axis=1).pvalue
    assert np.mean(p_values < 0.05) == pytest.approx(0.8, abs=0.01)
