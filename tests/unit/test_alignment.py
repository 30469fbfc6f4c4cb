import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.faces.alignment import MEAN_FACE, align, cut

EYE_TO_MOUTH = 48.0  # crop px
ANGLE, SCALE, SHIFT = st.floats(-180, 180), st.floats(0.3, 3), st.floats(-50, 50)


def similarity(angle, scale, x=0.0, y=0.0):
    """Matrix (2, 3) that turns by `angle` degrees, scales and shifts."""
    c, s = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
    return np.array([[c, -s, x], [s, c, y]])


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


@pytest.fixture(scope="module")
def scene():
    """A smooth grey picture (400, 400, 3), and five points of a face that is not the mean face."""
    rng = np.random.default_rng(1)
    picture = cv2.GaussianBlur(rng.normal(0, 1, (400, 400)).astype(np.float32), (0, 0), 5)
    picture = np.clip(128 + 60 * picture / picture.std(), 0, 255).astype(np.uint8)
    points = MEAN_FACE * 60 + [200, 210] + rng.normal(0, 1.5, (5, 2))
    return np.repeat(picture[..., None], 3, 2), points


@given(angle=ANGLE, scale=SCALE, x=SHIFT, y=SHIFT)
def test_a_moved_mean_face_comes_back_exactly(angle, scale, x, y):
    points = apply(similarity(angle, scale, x, y), MEAN_FACE * EYE_TO_MOUTH)
    alignment = align(points[None], 96, EYE_TO_MOUTH)
    np.testing.assert_allclose(
        apply(alignment.matrices[0], points), MEAN_FACE * EYE_TO_MOUTH + 48, atol=1e-6
    )
    assert alignment.scale[0] == pytest.approx(1 / scale)
    assert (alignment.roll[0] - angle + 180) % 360 == pytest.approx(180, abs=1e-6)


@given(
    noise=st.integers(0, 1000), angle=ANGLE, scale=SCALE,
    size=st.sampled_from([64, 96, 112]), reach=st.sampled_from([32.0, 48.0, 64.0]),
)  # fmt: skip
def test_any_face_has_its_mouth_in_the_middle(noise, angle, scale, size, reach):
    face = MEAN_FACE * 50 + np.random.default_rng(noise).normal(0, 4, (5, 2))
    points = apply(similarity(angle, scale, 70, 30), face)
    alignment = align(points[None], size, reach)
    mouth = apply(alignment.matrices[0], points)[3:].mean(axis=0)
    np.testing.assert_allclose(mouth, [size / 2, size / 2], atol=1e-6)
    turned = apply(alignment.matrices[0], points)
    reference = apply(align(face[None], size, reach).matrices[0], face)
    np.testing.assert_allclose(turned, reference, atol=1e-6)  # the pose of the picture is gone


def test_least_squares_cannot_be_beaten():
    points = MEAN_FACE * 55 + np.random.default_rng(3).normal(0, 3, (5, 2))
    matrix = align(points[None], 96, EYE_TO_MOUTH).matrices[0]
    target = MEAN_FACE * EYE_TO_MOUTH

    def error(linear):
        moved = (points - points.mean(0)) @ linear.T
        return ((moved - (target - target.mean(0))) ** 2).sum()

    best = error(matrix[:, :2])
    for angle, scale in [(0.5, 1), (-0.5, 1), (0, 1.01), (0, 0.99)]:
        assert error(similarity(angle, scale)[:, :2] @ matrix[:, :2]) > best


def test_points_without_extent_are_refused():
    with pytest.raises(ValueError, match="one point"):
        align(np.full((2, 5, 2), 7.0), 96, EYE_TO_MOUTH)
    with pytest.raises(ValueError, match="finite"):
        align(np.full((1, 5, 2), np.nan), 96, EYE_TO_MOUTH)


def test_an_upright_face_of_the_right_size_is_cut_out_unchanged(scene):
    picture, _ = scene
    points = MEAN_FACE * EYE_TO_MOUTH + [200, 210]  # the mouth is where four pixels meet
    (crop,) = cut([picture], align(points[None], 96, EYE_TO_MOUTH))
    np.testing.assert_array_equal(crop, picture[162:258, 152:248, 0])


def test_colours_become_grey_by_their_luminance(scene):
    _, points = scene
    frames = np.zeros((3, 400, 400, 3), np.uint8)
    for channel in range(3):
        frames[channel, ..., channel] = 255
    crops = cut(frames, align(np.stack([points] * 3), 96, EYE_TO_MOUTH))
    assert crops[:, 48, 48].tolist() == [76, 150, 29]  # ITU-R BT.601: 0.299, 0.587, 0.114
    assert crops.shape == (3, 96, 96) and crops.dtype == np.uint8


@settings(max_examples=30, deadline=None)
@given(
    angle=st.floats(-40, 40), scale=st.floats(0.6, 1.8), x=st.floats(-15, 15), y=st.floats(-15, 15)
)
def test_turning_scaling_or_shifting_the_frame_leaves_the_crop(scene, angle, scale, x, y):
    """Within 2 grey levels on average, 16 at most: both pictures are resampled twice."""
    picture, points = scene
    (expected,) = cut([picture], align(points[None], 96, EYE_TO_MOUTH))
    about = similarity(angle, scale)  # turn about the mouth, so that the face stays in the frame
    about[:, 2] = points[3:].mean(axis=0) - about[:, :2] @ points[3:].mean(axis=0) + [x, y]
    for_cv2 = about.copy()
    for_cv2[:, 2] += about[:, :2] @ [0.5, 0.5] - 0.5
    moved = cv2.warpAffine(picture, for_cv2, (400, 400), flags=cv2.INTER_CUBIC)
    (crop,) = cut([moved], align(apply(about, points)[None], 96, EYE_TO_MOUTH))
    difference = np.abs(crop.astype(int) - expected)[8:-8, 8:-8]
    assert difference.mean() < 2 and difference.max() <= 16


def test_large_faces_do_not_alias(scene):
    """A checkerboard of single pixels, shrunk to a third, is an even grey."""
    rows, columns = np.indices((400, 400))
    board = np.repeat((((rows + columns) % 2) * 255).astype(np.uint8)[..., None], 3, 2)
    (crop,) = cut(
        [board], align((MEAN_FACE * EYE_TO_MOUTH * 3.1 + [200, 200])[None], 96, EYE_TO_MOUTH)
    )
    assert crop[10:-10, 10:-10].std() < 4


def test_what_lies_outside_the_frame_repeats_its_edge(scene):
    points = MEAN_FACE * EYE_TO_MOUTH + [10, 10]
    frame = np.full((60, 60, 3), 77, np.uint8)
    assert (cut([frame], align(points[None], 96, EYE_TO_MOUTH)) == 77).all()
