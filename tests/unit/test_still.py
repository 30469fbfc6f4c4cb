import numpy as np
import pytest

from visemix.heads.articulation import Style, unit_weights
from visemix.heads.articulation import curves as articulate
from visemix.heads.fit import Fit, fit_five_points
from visemix.heads.model import FIVE_POINTS, load_head
from visemix.heads.still import MOUTH_UNITS, draw_still, prepare_still


@pytest.fixture(scope="module")
def head():
    return load_head()


def make_fit(head, pose=(0.1, -0.05, 0.08), scale=75.0):
    coefficients = np.zeros(head.n_pcs)
    coefficients[:3] = 0.8, -0.6, 0.5
    return Fit(head.shape(coefficients), np.array(pose), scale, np.array([128.0, 110.0]))


@pytest.fixture(scope="module")
def still(head):
    """A smooth picture of noise on a fitted head: every pixel tells where it came from."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(60, 200, (32, 32, 3))
    picture = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)
    return prepare_still(head, picture, make_fit(head))


def mouth(*visemes):
    segs = [(0.04 * i, 0.04 * (i + 1), v) for i, v in enumerate(visemes)]
    style = Style(sharp=True)
    times = 0.02 + 0.04 * np.arange(len(visemes))
    return unit_weights(articulate(segs, times, style), MOUTH_UNITS, style)


def test_fit_recovers_the_points_and_the_pose(head):
    true = make_fit(head)
    points = true.project(true.neutral)[FIVE_POINTS]
    fit = fit_five_points(head, points)
    assert np.abs(fit.project(fit.neutral)[FIVE_POINTS] - points).max() < 1.0
    assert fit.scale == pytest.approx(true.scale, rel=0.06)
    turn = fit.rotation @ true.rotation.T
    angle = np.degrees(np.arccos((np.trace(turn) - 1) / 2))
    assert angle < 6


def test_fit_follows_a_change_of_scale_and_place(head):
    true = make_fit(head)
    points = true.project(true.neutral)[FIVE_POINTS]
    small, large = fit_five_points(head, points), fit_five_points(head, points * 2 + (30, -20))
    assert large.scale == pytest.approx(2 * small.scale, rel=0.05)


@pytest.mark.parametrize("points", [np.full((5, 2), np.nan), np.zeros((4, 2)), np.zeros((5, 2))])
def test_fit_refuses_what_is_no_face(head, points):
    with pytest.raises(ValueError):
        fit_five_points(head, points)


def test_only_the_mouth_region_changes(still):
    frames = draw_still(still, mouth("aa", "PP", "uw"))
    x0, y0, x1, y1 = still.box
    outside = np.ones(still.image.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert (frames[:, outside] == still.image[outside]).all()
    assert (frames[0] != still.image)[y0:y1, x0:x1].any(-1).mean() > 0.2
    assert x0 > 0 and y1 < 256 and y0 > 64  # the eyes and the picture's rim stay out of it


def test_a_face_at_rest_is_the_picture(still):
    frame = draw_still(still, np.zeros((1, len(MOUTH_UNITS))))[0]
    changed = (np.abs(frame.astype(int) - still.image) > 1).any(-1)
    assert changed.mean() < 0.003  # the line between the lips at most


def test_region_is_not_cut(still):
    """What lies on the rim of the box does not move, or a seam would show."""
    frames = draw_still(still, mouth("aa", "ae", "uw", "ee"))
    x0, y0, x1, y1 = still.box
    rim = np.zeros(still.image.shape[:2], bool)
    rim[y0:y1, x0:x1] = True
    rim[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] = False
    assert np.abs(frames[:, rim].astype(int) - still.image[rim]).max() <= 1


def test_mouth_opens_for_a_vowel_and_closes_for_a_bilabial(head):
    """On a picture of one grey, only the inside of the mouth has another colour."""
    still = prepare_still(head, np.full((256, 256, 3), 128, np.uint8), make_fit(head))
    frames = draw_still(still, mouth("aa", "PP", "ae", "sil"))
    inside = (np.abs(frames.astype(int) - 128).max(-1) > 3).sum((1, 2))
    assert inside[0] > 150 and inside[2] > 150
    assert inside[1] < inside[0] / 3
    rows = np.flatnonzero((np.abs(frames[1].astype(int) - 128).max(-1) > 3).any(1))
    assert len(rows) < 12  # a line, not an opening


def test_equal_input_gives_equal_frames(still):
    weights = mouth("aa", "PP", "uw", "FF")
    one_by_one = [draw_still(still, row[None])[0] for row in weights]
    assert (draw_still(still, weights) == np.stack(one_by_one)).all()


def test_wrong_weights_are_refused(still):
    with pytest.raises(ValueError, match="weights must be"):
        draw_still(still, np.zeros((2, 52)))
