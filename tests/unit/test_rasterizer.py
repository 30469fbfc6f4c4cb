"""The z-buffer against a brute-force loop, and normals against a sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.heads.rasterizer import FAR, NOTHING, fill_depth, rasterize, vertex_normals


def brute_force(xy, depth, faces, height, width):
    """Nearest triangle and its weights by testing every pixel against every triangle."""
    seen = np.full((height, width), -1)
    weights = np.zeros((height, width, 3))
    margin = np.full((height, width), np.inf)  # distance to the nearest undecidable choice
    for y in range(height):
        for x in range(width):
            best = np.inf
            for f, face in enumerate(faces):
                corners = np.c_[xy[face], np.ones(3)].T.astype(float)
                if abs(np.linalg.det(corners)) < 1e-3:
                    continue
                w = np.linalg.solve(corners, [x + 0.5, y + 0.5, 1])
                margin[y, x] = min(margin[y, x], np.abs(w).min())
                if w.min() >= 0:
                    d = w @ depth[face]
                    margin[y, x] = min(margin[y, x], abs(d - best))
                    if d < best:
                        best, seen[y, x], weights[y, x] = d, f, w
    return seen, weights, margin


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_equals_brute_force(seed, n_faces):
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-4, 20, (9, 2)).astype(np.float32)
    depth = rng.uniform(1, 9, 9).astype(np.float32)
    faces = np.array([rng.choice(9, 3, replace=False) for _ in range(n_faces)])
    seen, weights = rasterize(xy[None], depth[None], faces, 14, 17)
    expected, expected_weights, margin = brute_force(xy, depth, faces, 14, 17)
    clear = margin > 1e-3  # leave out pixels that rounding decides
    np.testing.assert_array_equal(seen[0][clear], expected[clear])
    np.testing.assert_allclose(weights[0][clear], expected_weights[clear], atol=2e-3)


def test_weights_sum_to_one_and_are_zero_outside():
    xy = np.array([[[1, 1], [9, 2], [3, 8]]], np.float32)
    seen, weights = rasterize(xy, np.ones((1, 3)), [[0, 1, 2]], 10, 10)
    np.testing.assert_allclose(weights.sum(-1), seen >= 0, atol=1e-6)


def test_no_crack_between_neighbours():
    """A fan of slivers that share edges covers every pixel of the square they fill."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        centre = rng.uniform(10, 50, 2)
        rim = [[0, t] for t in rng.uniform(0, 60, 9)] + [[60, t] for t in rng.uniform(0, 60, 9)]
        rim += [[t, 0] for t in rng.uniform(0, 60, 9)] + [[t, 60] for t in rng.uniform(0, 60, 9)]
        rim += [[0, 0], [0, 60], [60, 0], [60, 60]]
        rim = sorted(rim, key=lambda p: np.arctan2(p[1] - centre[1], p[0] - centre[0]))
        xy = np.array([centre, *rim], np.float32)
        n = len(rim)
        faces = [[0, 1 + i, 1 + (i + 1) % n] for i in range(n)]
        seen, _ = rasterize(xy[None], np.ones((1, n + 1)), faces, 60, 60)
        assert (seen >= 0).all()


def test_ties_go_to_the_lower_index():
    xy = np.array([[[0, 0], [8, 0], [0, 8]]], np.float32)
    seen, _ = rasterize(xy, np.ones((1, 3)), [[0, 1, 2], [0, 1, 2]], 8, 8)
    assert set(np.unique(seen)) == {-1, 0}


@pytest.mark.parametrize("n_one_sided, visible", [(0, True), (1, False)])
def test_backs_are_left_out_where_asked(n_one_sided, visible):
    xy = np.array([[0, 0], [8, 0], [0, 8]], np.float32)  # clockwise as seen: a back
    nearest, seen = np.full((8, 8), FAR), np.full((8, 8), NOTHING, np.int32)
    faces = np.array([[0, 1, 2]], np.int32)
    fill_depth(xy, np.ones(3, np.float32), faces, n_one_sided, nearest, seen)
    assert (seen >= 0).any() == visible
    seen.fill(NOTHING)
    fill_depth(xy, np.ones(3, np.float32), faces[:, ::-1].copy(), n_one_sided, nearest + 1, seen)
    assert (seen >= 0).any()


def test_triangles_off_the_image_or_without_area_are_harmless():
    xy = np.array([[[-50, -50], [-40, -50], [-50, -40], [3, 3], [3, 3]]], np.float32)
    seen, _ = rasterize(xy, np.ones((1, 5)), [[0, 1, 2], [3, 4, 3], [3, 4, 0]], 6, 6)
    assert (seen < 0).all()


def test_normals_of_a_sphere_point_outwards():
    azimuth, polar = np.meshgrid(np.linspace(0, 2 * np.pi, 40), np.linspace(0.3, 2.8, 30))
    points = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1
    ).reshape(-1, 3)
    i = np.arange(29 * 40).reshape(29, 40)[:, :-1].ravel()
    faces = np.concatenate([np.stack([i, i + 40, i + 41], 1), np.stack([i, i + 41, i + 1], 1)])
    normals = vertex_normals(points[None], faces)[0]
    inner = (np.abs(points[:, 2]) < 0.9) & (np.arange(len(points)) % 40 % 39 > 0)
    assert ((normals * points).sum(1)[inner] > 0.99).all()


def test_a_vertex_without_faces_gets_no_normal():
    normals = vertex_normals(np.eye(3)[None].repeat(2, 0), [[0, 1, 2]])
    assert normals.shape == (2, 3, 3)
    lonely = vertex_normals(np.zeros((1, 1, 3)), np.zeros((0, 3)))
    np.testing.assert_array_equal(lonely, 0)
