import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from visemix.generators.measures import psnr, ssim
from visemix.synthesis import measures


def crops(value, frames=4):
    return np.full((frames, 96, 96), value, np.uint8)


def test_psnr_of_a_known_difference():
    # mean squared error 25: 10 log10(255^2 / 25)
    assert psnr(crops(100), crops(105)) == pytest.approx(34.1514, abs=1e-3)
    # in uint8 the difference 250 would wrap around to 6
    assert psnr(crops(255), crops(5)) == pytest.approx(20 * math.log10(255 / 250), abs=1e-4)
    half = np.concatenate([crops(100, 2), crops(110, 2)])  # 0 and 100: mean 50
    assert psnr(half, crops(100)) == pytest.approx(10 * math.log10(255**2 / 50), abs=1e-3)
    assert psnr(half, half) == math.inf


def test_ssim_of_equal_and_of_flat_crops():
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96), dtype=np.uint8)
    assert ssim(noise, noise) == pytest.approx(1)
    # without structure only the means count: (2 a b + c) / (a^2 + b^2 + c), c = (0.01 x 255)^2
    c = 2.55**2
    expected = (2 * 100 * 50 + c) / (100**2 + 50**2 + c)
    assert ssim(crops(100), crops(50)) == pytest.approx(expected, abs=1e-4)
    assert ssim(noise, noise[::-1].copy()) < 0.5


@pytest.mark.parametrize("function", [psnr, ssim])
def test_crops_of_different_form_are_refused(function):
    with pytest.raises(ValueError, match="of the same clip"):
        function(crops(1, 3), crops(1, 4))
    with pytest.raises(ValueError, match="float32"):
        function(crops(1).astype(np.float32), crops(1))


def test_landmark_distance_is_in_the_unit_of_the_landmarks():
    true = np.random.default_rng(1).uniform(0, 96, (5, 5, 2))
    assert measures.landmark_distance(true + [3, 4], true) == pytest.approx(5)
    moved = true.copy()
    moved[2, 1] += [0, 10]  # one point of one frame: 10 px over 25 points
    assert measures.landmark_distance(moved, true) == pytest.approx(0.4)
    with pytest.raises(ValueError, match=r"\(T, N, 2\)"):
        measures.landmark_distance(true[:4], true)


def test_fid_of_shifted_and_scaled_samples_is_the_formula():
    x = np.random.default_rng(2).normal(size=(200, 6)) @ np.diag([1, 2, 3, 0.5, 1, 0.1])
    assert measures.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    shift = np.array([1, 0, 2, 0, 0, 2.0])
    assert measures.frechet_distance(x + shift, x) == pytest.approx(9)
    centred = x - x.mean(0)
    # tr(C + 4 C - 2 (4 C C)^1/2) = tr C
    assert measures.frechet_distance(2 * centred, centred) == pytest.approx(
        np.trace(np.cov(centred, rowvar=False))
    )
    y = np.random.default_rng(3).normal(size=(150, 6)) @ np.random.default_rng(4).normal(
        size=(6, 6)
    )
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    formula = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert measures.frechet_distance(x, y) == pytest.approx(formula)
    with pytest.raises(ValueError, match="at least 2"):
        measures.frechet_distance(x[:1], y)


def clips(rng, n, mean=0.0):
    """Features of n clips of 2 to 4 frames, with a mean of their own each."""
    return [rng.normal(rng.normal(mean, 1, 3), 0.2, (rng.integers(2, 5), 3)) for _ in range(n)]


def test_kid_is_its_definition():
    rng = np.random.default_rng(5)
    made, true = clips(rng, 4), clips(rng, 4)

    def k(a, b):
        return np.mean([(x @ y / 3 + 1) ** 3 for x in a for y in b])

    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = np.mean(
        [
            k(made[i], made[j]) + k(true[i], true[j]) - k(made[i], true[j]) - k(made[j], true[i])
            for i, j in pairs
        ]
    )
    found = measures.kernel_distance(measures.clip_kernel(made, true))
    assert found == pytest.approx(expected)


def test_kid_is_unbiased_however_few_clips_there_are():
    rng = np.random.default_rng(6)
    values = np.array(
        [measures.kid_measure(clips(rng, 4), clips(rng, 4))["value"] for _ in range(600)]
    )
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    assert values.min() < 0  # which a biased estimate never is
    apart = [measures.kid_measure(clips(rng, 4, 1.0), clips(rng, 4))["value"] for _ in range(100)]
    assert np.mean(apart) > 10 * values.std() / math.sqrt(100)


def test_fid_and_kid_have_n_and_an_interval_over_clips():
    rng = np.random.default_rng(7)
    made, true = clips(rng, 60, 1.0), clips(rng, 60)
    for found in (measures.fid_measure(made, true), measures.kid_measure(made, true)):
        assert found["n"] == 60
        assert 0 < found["low"] < found["value"] < found["high"]
    assert measures.fid_measure(made, true)["frames"] == sum(map(len, made))
    few = measures.fid_measure(made[:3], true[:3])
    assert few["value"] > 0 and few["low"] is None
    assert measures.kid_measure([], []) == {"value": None, "low": None, "high": None, "n": 0}
    assert measures.fid_measure(made[:1], true[:1])["value"] is None


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(8).normal(5, 2, 40)
    found = measures.jackknife_measure(lambda rows: values[rows].mean(), 40)
    reach = 2.0227 * values.std(ddof=1) / math.sqrt(40)  # t with 39 degrees of freedom
    assert found["value"] == pytest.approx(values.mean())
    assert found["high"] - found["value"] == pytest.approx(reach, rel=1e-4)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_the_interval_of_a_mean_lies_within_the_values_and_around_it(values):
    found = measures.mean_measure(values)
    assert min(values) - 1e-9 <= found["low"] <= found["value"] + 1e-9
    assert found["value"] - 1e-9 <= found["high"] <= max(values) + 1e-9
    assert found["n"] == len(values)


def test_means_and_medians_of_few_clips():
    assert measures.mean_measure([]) == {"value": None, "low": None, "high": None, "n": 0}
    assert measures.mean_measure([3.0]) == {"value": 3.0, "low": None, "high": None, "n": 1}
    assert measures.mean_measure([1, 2, 30], np.median)["value"] == 2


def test_the_interval_of_a_mean_covers_it():
    rng = np.random.default_rng(9)
    found = [measures.mean_measure(rng.exponential(1, 80)) for _ in range(200)]
    assert 0.88 <= np.mean([one["low"] < 1 < one["high"] for one in found]) <= 0.99


def test_shares_have_the_wilson_interval_and_trainings_do_not_narrow_it():
    right = np.array([True] * 30 + [False] * 20)
    found = measures.proportion_measure([right])
    assert (found["value"], found["n"]) == (0.6, 50)
    assert found["low"] == pytest.approx(0.4618, abs=1e-4)  # Wilson, 30 of 50
    assert found["high"] == pytest.approx(0.7239, abs=1e-4)
    again = measures.proportion_measure([right, right[::-1]])
    assert again == found
    assert measures.proportion_measure([right[:0]])["value"] is None


def test_intervals_are_over_speakers_where_they_are_given():
    """Ten clips of each of six speakers: over clips the intervals were less than half as wide."""
    rng = np.random.default_rng(3)
    speakers = np.repeat(np.arange(6), 10)
    values = rng.normal(0, 1, 6)[speakers] + rng.normal(0, 0.1, 60)

    def width(found):
        return found["high"] - found["low"]

    for measure in (
        measures.mean_measure,
        lambda v, **given: measures.mean_measure(v, np.median, **given),
        lambda v, **given: measures.proportion_measure([v > 0], **given),
        lambda v, **given: measures.jackknife_measure(lambda r: v[r].mean(), 60, **given),
    ):
        assert width(measure(values, clusters=speakers)) > 1.5 * width(measure(values))
        one = measure(values, clusters=np.arange(60))
        assert one == measure(values)
    alone = measures.mean_measure(values, clusters=np.zeros(60))
    assert alone["low"] is None and alone["n"] == 60
    two = measures.jackknife_measure(lambda r: values[r].mean(), 60, np.repeat([0, 1], 30))
    assert two["low"] is None and two["value"] == pytest.approx(values.mean())
