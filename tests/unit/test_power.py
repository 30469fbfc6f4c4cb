"""Clips and seeds that are said to resolve a difference do, and fewer do not."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from tests.helpers.crossed_scores import draw, seed_variance

from visemix.evaluation.crossed import Components, crossed_difference
from visemix.evaluation.power import (
    Design,
    clips_needed,
    clips_needed_given_trainings,
    detectable,
    seeds_needed,
)

PARTS = Components(clips=0.5, trainings=0.01, rest=0.5)
DESIGN = Design(PARTS, rows=5)


def power(difference, clips, seeds, repeats=1500):
    rng = np.random.default_rng(6)
    found = []
    for _ in range(repeats):
        scores = draw(rng, DESIGN.rows, seeds, clips, *PARTS)
        scores[1] += difference
        result = crossed_difference(*scores[:2], np.arange(clips), seed_variance(scores))
        found.append(result.p < 0.05)
    return np.mean(found)


def test_simulated_experiments_of_that_size_resolve_the_difference():
    difference, clips = 0.25, 120
    seeds = seeds_needed(DESIGN, difference, clips)
    assert 3 <= seeds <= 12
    assert power(difference, clips, seeds) == pytest.approx(0.82, abs=0.05)
    clips = clips_needed(DESIGN, difference, seeds=5)
    assert power(difference, clips, 5) == pytest.approx(0.8, abs=0.035)
    assert power(difference, clips // 2, 5) < 0.7


def test_numbers_are_the_least_that_are_enough():
    seeds = seeds_needed(DESIGN, 0.1, 400)
    assert detectable(DESIGN, 400, seeds) <= 0.1 < detectable(DESIGN, 400, seeds - 1)
    clips = clips_needed(DESIGN, 0.1, 2 * seeds)
    assert detectable(DESIGN, clips, 2 * seeds) <= 0.1 < detectable(DESIGN, clips - 1, 2 * seeds)
    assert clips < 400


def test_clips_cannot_make_up_for_seeds_nor_seeds_for_clips():
    least = seeds_needed(DESIGN, 0.05, math.inf)
    assert clips_needed(DESIGN, 0.05, least - 1) is None
    assert clips_needed(DESIGN, 0.05, 2 * least) is not None
    assert seeds_needed(DESIGN, 0.05, 100) is None
    assert detectable(DESIGN, math.inf, least) < detectable(DESIGN, 10_000, least)


@pytest.mark.parametrize(("discordant", "difference"), [(0.06, 0.02), (0.3, 0.1)])
def test_given_trainings_need_the_clips_that_simulated_mcnemar_tests_need(discordant, difference):
    clips = clips_needed_given_trainings(discordant, difference)
    rng = np.random.default_rng(7)
    wins, losses, _ = rng.multinomial(
        clips,
        [(discordant + difference) / 2, (discordant - difference) / 2, 1 - discordant],
        2000,
    ).T
    p_values = [binomtest(int(w), int(w + x)).pvalue for w, x in zip(wins, losses, strict=True)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.78, abs=0.04)  # exact: a bit less


def test_a_gain_larger_than_the_observed_disagreement_is_possible():
    assert clips_needed_given_trainings(0.01, 0.05) == clips_needed_given_trainings(0.05, 0.05)
