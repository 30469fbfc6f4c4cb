import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.clips.mixture import mixing_ratio
from visemix.evaluation.beta_fit import (
    KNOTS,
    fit_logits,
    fit_with_interval,
    may_be_best,
    spline_basis,
)

ALONE = np.arange(500)  # every clip has a speaker of its own
REPEATS = [0, 1 / 3, 1 / 2, 1, 2, 5, 7, 10, 20, float("inf")]
BETA = np.array([mixing_ratio(repeats, 300, 246) for repeats in REPEATS])


def trainings(accuracy, clips=500, seeds=2, spread=0.0, seed=0):
    """Correctness (points, seeds, clips) of trainings whose accuracy varies by `spread`."""
    rng = np.random.default_rng(seed)
    moved = np.asarray(accuracy)[:, None] + rng.normal(0, spread, (len(accuracy), seeds))
    return (rng.random((*moved.shape, clips)) < moved[..., None]).astype(float)


GRID = np.linspace(0, 1, 201)


def fitted_curve(accuracy, n):
    basis = spline_basis(BETA)
    return 1 / (1 + np.exp(-basis(GRID) @ fit_logits(basis(BETA), accuracy, n)))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.15, 0.85), st.floats(0.2, 1.5), st.floats(-0.5, 1))
def test_a_known_curve_is_recovered_from_many_clips(place, bend, height):
    def logit(beta):
        return height - bend * (beta - place) ** 2

    truth = 1 / (1 + np.exp(-logit(BETA)))
    fitted = fitted_curve(truth, 10**6)
    # a natural spline of four knots bends less at its ends than a parabola
    assert np.abs(fitted - 1 / (1 + np.exp(-logit(GRID)))).max() < 0.03
    assert abs(GRID[fitted.argmax()] - place) < 0.15


@settings(max_examples=25, deadline=None)
@given(st.floats(0.02, 0.98))
def test_a_flat_curve_is_fitted_flat(level):
    fitted = fitted_curve(np.full(len(BETA), level), 1000)
    assert fitted == pytest.approx(level, abs=1e-3)


def test_all_right_and_all_wrong_have_a_finite_fit():
    fitted = fitted_curve(np.array([0.0] + [1.0] * 9), 50)
    assert np.isfinite(fitted).all()
    assert fitted[0] < 0.2
    assert fitted[-1] > 0.9


PEAKED, FLAT = 0.75 - 1.2 * (BETA - 0.55) ** 2, np.full(len(BETA), 0.6)


def fits(truth, spread, number, draws=25):
    return [
        fit_with_interval(BETA, trainings(truth, spread=spread, seed=seed), ALONE, seed, draws)
        for seed in range(number)
    ]


def test_a_clear_maximum_is_placed():
    found = fits(PEAKED, 0.03, 10)
    assert sum(fit.place_low <= 0.55 <= fit.place_high for fit in found) >= 9
    assert sum(fit.resolved for fit in found) >= 9
    for fit in found:
        assert fit.place_low <= fit.place <= fit.place_high
        assert fit.place == pytest.approx(0.55, abs=0.2)
        assert (fit.low <= fit.high).all()


@pytest.mark.parametrize("spread", [0.0, 0.08])
def test_a_flat_curve_is_not_resolved_however_its_trainings_differ(spread):
    assert sum(fit.resolved for fit in fits(FLAT, spread, 10)) <= 1


def test_trainings_that_differ_widen_the_band():
    alike, unlike = (
        np.mean([fit.high - fit.low for fit in fits(FLAT, spread, 4)]) for spread in (0.0, 0.08)
    )
    assert unlike > 1.5 * alike


def test_speakers_are_drawn_not_their_clips():
    """Four people who differ by 40 points: the band over clips was a fifth as wide."""
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(4), 125)
    shares = np.array([0.4, 0.5, 0.7, 0.8])[speakers]
    correct = (rng.random((len(BETA), 2, 500)) < shares).astype(float)
    widths = [
        np.mean((fit := fit_with_interval(BETA, correct, clusters, 0, 100)).high - fit.low)
        for clusters in (speakers, ALONE)
    ]
    assert widths[0] > 0.2
    assert widths[0] > 3 * widths[1]


def test_only_places_that_another_exceeds_beyond_doubt_are_out():
    basis = np.eye(KNOTS)  # the curve's four places are the knots themselves
    sure = may_be_best(basis, np.array([0.0, 1.0, 0.99, 0.5]), 1e-6 * np.eye(KNOTS), np.inf)
    assert sure.tolist() == [False, True, False, False]
    # differences have sd 0.1 sqrt(2); Scheffe's factor is sqrt(7.815) = 2.796: 0.3953 is needed
    unsure = may_be_best(basis, np.array([0.0, 1.0, 0.61, 0.6]), 0.01 * np.eye(KNOTS), np.inf)
    assert unsure.tolist() == [False, True, True, False]
    few = may_be_best(basis, np.array([0.0, 1.0, 0.61, 0.6]), 0.01 * np.eye(KNOTS), 5)
    assert few.tolist() == [False, True, True, True]


def test_the_same_seed_gives_the_same_interval():
    correct = trainings(0.5 + 0.2 * BETA)
    first, second = (fit_with_interval(BETA, correct, ALONE, 3, draws=20) for _ in range(2))
    assert (first.low == second.low).all()
    assert first.place_high == second.place_high


def test_one_training_a_point_gives_a_band_of_the_clips_alone():
    fit = fit_with_interval(BETA, trainings(PEAKED, seeds=1), ALONE, 0, draws=20)
    assert (fit.high > fit.low).all()
    assert np.ptp([fit.place_low, fit.place_high]) < 0.4 and not fit.resolved


def test_too_few_betas_are_refused():
    few = BETA[:KNOTS]
    with pytest.raises(ValueError, match="4 betas; a curve needs at least 5"):
        fit_with_interval(few, trainings(few), ALONE, 0)
