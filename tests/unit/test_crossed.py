"""Clips and trainings as crossed random effects, checked against statsmodels and by simulation."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy.stats import t
from tests.helpers.crossed_scores import draw, seed_variance

from visemix.evaluation.crossed import (
    cluster_degrees,
    clustered_variance,
    crossed_difference,
    crossed_mean,
    design_effect,
    rest_variance,
    variance_components,
)


def test_the_closed_form_is_that_of_a_mixed_model():
    seeds, clips = 4, 25
    scores = draw(np.random.default_rng(3), 2, seeds, clips, c=0.6, v=0.05, e=0.5)
    row, seed, clip = (axis.ravel() for axis in np.indices(scores.shape))
    table = pd.DataFrame({"score": scores.ravel(), "row": row, "clip": clip, "one": 1})
    table["training"] = row * seeds + seed
    table["clip_of_row"] = row * clips + clip
    parts = {name: f"0 + C({name})" for name in ("clip", "clip_of_row", "training")}
    model = smf.mixedlm("score ~ row", table, groups="one", vc_formula=parts).fit(reml=True)
    found = crossed_difference(*scores, np.arange(clips), seed_variance(scores))
    components = variance_components(*scores, np.arange(clips), seed_variance(scores))
    assert found.mean == pytest.approx(model.params["row"], abs=1e-6)
    assert np.sqrt(found.variance) == pytest.approx(model.bse["row"], rel=2e-3)
    fitted = dict(zip(model.model.exog_vc.names, model.vcomp, strict=True))
    assert components.clips == pytest.approx(2 * fitted["clip_of_row"], rel=0.01)
    assert components.trainings == pytest.approx(fitted["training"], rel=0.01)
    assert components.rest == pytest.approx(model.scale, rel=0.01)


def test_clusters_widen_as_in_statsmodels_sandwich():
    rng = np.random.default_rng(0)
    clusters = rng.integers(0, 12, 150)
    values = rng.normal(0, 1, 12)[clusters] + rng.normal(0, 1, 150)
    fit = sm.OLS(values, np.ones(150)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )
    variance, count = clustered_variance(values, clusters)
    assert (np.sqrt(variance), count) == (pytest.approx(fit.bse[0]), 12)
    alone, _ = clustered_variance(values, np.arange(150))
    assert alone == pytest.approx(values.var(ddof=1) / 150)
    assert variance > 2 * alone


def test_many_small_clusters_beside_few_large_ones_add_no_freedom():
    assert cluster_degrees(np.arange(150)) == pytest.approx(149)
    four = np.repeat(np.arange(4), 1000)
    assert cluster_degrees(four) == pytest.approx(3)
    beside = np.concatenate([four, np.arange(10, 50)])  # 44 clusters
    assert cluster_degrees(beside) == pytest.approx(3, abs=0.1)
    assert cluster_degrees(np.zeros(10)) == 1


def test_components_of_clips_come_in_the_speakers_clusters():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(10), 50)
    first = rng.normal(0, 1, 500) + rng.normal(0, 0.1, (2, 500))
    second = first + rng.normal(0, 1, 10)[clusters] + rng.normal(0, 0.1, (2, 500))
    by_speaker, alone = (
        variance_components(first, second, c, (0.01, 2)).clips for c in (clusters, np.arange(500))
    )
    assert by_speaker > 20 * alone  # 50 clips of a speaker say little more than one
    gain = (second - first).mean(0)
    assert design_effect(gain, clusters) == pytest.approx(by_speaker / alone, rel=0.1)
    assert design_effect(gain, np.arange(500)) == pytest.approx(1)


def coverage(rng, repeats, seeds, clips, variance_of, **parts):
    """Share of 95% intervals of a zero difference that hold it; seven rows give the seeds' part."""
    hits = 0
    for _ in range(repeats):
        scores = draw(rng, 7, seeds, clips, **parts)
        mean, variance, freedom = variance_of(scores)
        hits += abs(mean) <= t.ppf(0.975, freedom) * np.sqrt(variance)
    return hits / repeats


def test_intervals_cover_at_their_level_and_simpler_formulas_do_not():
    """Where what is left over clips and seeds is large, both contain it, and it counts once."""

    def crossed(scores):
        return crossed_difference(*scores[:2], np.arange(scores.shape[2]), seed_variance(scores))

    def counted_twice(scores):
        found, seeds = crossed(scores), scores.shape[1]
        both = 2 * rest_variance(*scores[:2]) / (seeds * scores.shape[2])
        return found.mean, found.variance + both, found.degrees

    def clips_alone(scores):
        gain = scores[1].mean(0) - scores[0].mean(0)
        return gain.mean(), gain.var(ddof=1) / len(gain), len(gain) - 1

    parts = {"repeats": 2500, "seeds": 5, "clips": 50, "c": 0.0, "v": 0.02, "e": 1.0}
    rng = np.random.default_rng(1)
    assert coverage(rng, variance_of=crossed, **parts) == pytest.approx(0.955, abs=0.015)
    assert coverage(rng, variance_of=counted_twice, **parts) > 0.975
    assert coverage(rng, variance_of=clips_alone, **parts) < 0.90


def test_intervals_of_a_single_row_cover_too():
    def one_row(scores):
        return crossed_mean(scores[0], np.arange(scores.shape[2]), seed_variance(scores))

    parts = {"repeats": 1000, "seeds": 3, "clips": 50, "c": 0.5, "v": 0.04, "e": 1.0}
    assert coverage(np.random.default_rng(8), variance_of=one_row, **parts) == pytest.approx(
        0.95, abs=0.02
    )


def test_two_seeds_of_binary_scores_cover_too():
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(1500):
        logit = draw(rng, 7, 2, 200, c=1.0, v=0.02, e=0.0)
        scores = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)
        found = crossed_difference(*scores[:2], np.arange(200), seed_variance(scores))
        hits.append(found.interval[0] <= 0 <= found.interval[1])
    assert np.mean(hits) == pytest.approx(0.95, abs=0.02)


def test_components_are_recovered_on_average():
    rng = np.random.default_rng(4)
    truth = {"c": 0.8, "v": 0.05, "e": 0.5}
    found = []
    for _ in range(300):
        scores = draw(rng, 7, 3, 80, **truth)
        found.append(variance_components(*scores[:2], np.arange(80), seed_variance(scores)))
    assert np.mean(found, axis=0) == pytest.approx(list(truth.values()), rel=0.05)


def test_nothing_differs_and_nothing_varies():
    same = np.ones((2, 5))
    found = crossed_difference(same, same, np.arange(5), (0.0, 2))
    assert (found.mean, found.p, found.interval) == (0, 1, (0, 0))
    surely = crossed_difference(same, 0 * same, np.arange(5), (0.0, 2))
    assert (surely.mean, surely.p) == (-1, 0)
