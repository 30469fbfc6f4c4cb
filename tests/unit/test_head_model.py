"""The morphable head: shapes, face units, rotations and projection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.heads.model import FIVE_POINTS, HEAD_MODEL, load_head, project, ramp, rotation

angle = st.floats(-1.5, 1.5)


@pytest.fixture(scope="module")
def head():
    return load_head()


def animate(head, **weights):
    values = np.zeros((1, len(head.unit_names)))
    for name, value in weights.items():
        values[0, head.unit(name)] = value
    return head.animate(head.mean, values)


def test_the_shipped_file_is_small_and_licensed():
    assert HEAD_MODEL.stat().st_size < 2e6
    licences = HEAD_MODEL.with_name("HEAD_MODEL_LICENSES.txt").read_text()
    assert "CC0" in licences and "explicitly released as CC0" in licences


def test_arrays_fit_together(head):
    n_vertices = len(head.rest)
    assert head.triangles.min() == 0 and head.triangles.max() == n_vertices - 1
    assert head.units.shape == (52, n_vertices, 3) and len(head.unit_names) == 52
    assert head.uv.shape == (len(head.triangles), 3, 2)
    assert (head.mirror[head.mirror] == np.arange(n_vertices)).mean() > 0.99
    assert load_head() is head  # read once a process


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="build_head_model"):
        load_head(tmp_path / "none.npz")


@given(angle, angle, angle)
def test_rotations_are_rotations(yaw, pitch, roll):
    r = rotation(yaw, pitch, roll)[0]
    np.testing.assert_allclose(r @ r.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(r) == pytest.approx(1)


def test_signs_of_the_angles(head):
    nose = FIVE_POINTS[2]
    vertices = head.mean[None] + head.shift

    def nose_at(yaw, pitch):
        return project(head, vertices, [[yaw, pitch, 0]], 256, 72.0)[0][0, nose]

    assert nose_at(0.3, 0)[0] > nose_at(0, 0)[0] + 5  # positive yaw: to the image's right
    assert nose_at(0, 0.3)[1] > nose_at(0, 0)[1] + 5  # positive pitch: down


def test_five_points_lie_as_retinaface_orders_them(head):
    xy = project(head, head.mean[None], np.zeros((1, 3)), 256, 72.0)[0][0, FIVE_POINTS]
    eye_a, eye_b, nose, corner_a, corner_b = xy
    assert eye_a[0] < nose[0] < eye_b[0] and corner_a[0] < nose[0] < corner_b[0]
    assert max(eye_a[1], eye_b[1]) < nose[1] < min(corner_a[1], corner_b[1])


def test_neutral_lips_are_closed_and_the_jaw_opens_them(head):
    assert head.lip_gap(animate(head))[0] < 0.015
    half, full = (head.lip_gap(animate(head, jawOpen=w))[0] for w in (0.3, 0.6))
    assert 0.05 < half < full


def test_mouth_close_takes_back_what_jaw_open_opens(head):
    assert head.lip_gap(animate(head, jawOpen=0.5, mouthClose=0.5))[0] < 0.02


def test_pucker_narrows_and_stretch_widens(head):
    def width(**weights):
        corners = animate(head, **weights)[0, FIVE_POINTS[3:], 0]
        return abs(corners[1] - corners[0])

    neutral = width()
    assert width(mouthPucker=1) < 0.85 * neutral
    assert width(mouthStretchLeft=1, mouthStretchRight=1) > 1.05 * neutral


def test_chest_stays_when_the_head_turns(head):
    moved = head.turn(head.rest[None] * 1.0, [[0.5, 0.2, 0.1]])[0] - head.rest
    distance = np.linalg.norm(moved, axis=1)
    assert distance[head.rest[:, 1] < 5.3].max() < 1e-6
    assert distance[head.rest[:, 1] > 6.2].min() >= 0
    assert distance[head.rest[:, 1] > 6.2].mean() > 0.3


@given(st.floats(-2, 2), st.floats(0.1, 3), st.floats(-5, 5))
def test_ramp_stays_within_its_ends(start, length, x):
    value = ramp(start, start + length, x)
    assert 0 <= value <= 1
    assert ramp(start + length, start, x) == pytest.approx(1 - value)


def test_identities_differ_and_keep_the_distance_of_the_eyes(head):
    rng = np.random.default_rng(0)
    a, b = head.shape(rng.normal(size=head.n_pcs)), head.shape(rng.normal(size=head.n_pcs))
    assert np.abs(a - b).max() > 0.05
    eyes = [head.part_vertices(name) for name in ("eye_left", "eye_right")]
    gaps = [np.linalg.norm(v[eyes[0]].mean(0) - v[eyes[1]].mean(0)) for v in (a, b)]
    assert gaps[0] == pytest.approx(gaps[1], rel=0.02)
    assert set(head.trait_values(np.zeros(head.n_pcs))) == set(head.traits)
