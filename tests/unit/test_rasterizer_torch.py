"""The torch z-buffer against the numba one, and bilinear sampling against a restatement."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.heads.model import load_head, project
from visemix.heads.rasterizer import FAR, NOTHING, fill_depth, rasterize
from visemix.heads.rasterizer_torch import rasterize_torch, sample_bilinear

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def as_tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def assert_equal_to_numba(xy, depth, faces, height, width, **options):
    """Same triangles and same weights, bit for bit; returns what is seen."""
    expected, expected_weights = rasterize(xy, depth, faces, height, width)
    seen, weights = rasterize_torch(*as_tensors(xy, depth, faces), height, width, **options)
    assert (seen.dtype, weights.dtype) == (torch.int32, torch.float32)
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(weights, expected_weights)
    return expected


def random_mesh(seed, n_faces, grid):
    """Vertices of which some coincide, lie on pixel centres, or far outside a 14 x 17 image."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-6, 22, (2, 12, 2)).astype(np.float32)
    if grid:
        xy = np.round(2 * xy) / 2  # corners and edges on pixel centres
    xy[:, 10:] = rng.uniform(-1000, 1000, (2, 2, 2))
    depth = rng.uniform(-3, 3, (2, 12)).astype(np.float32)
    if grid:
        depth = np.round(depth)  # ties, zeros of either sign
    return xy, depth, rng.integers(0, 12, (n_faces, 3)).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans(), st.sampled_from([1, 70, 2**20])
)
def test_equals_numba_on_random_meshes(seed, n_faces, grid, chunk):
    xy, depth, faces = random_mesh(seed, n_faces, grid)
    assert_equal_to_numba(xy, depth, faces, 14, 17, chunk=chunk)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 20))
def test_equals_numba_with_one_sided_faces_first(seed, grid, n_one_sided):
    xy, depth, faces = random_mesh(seed, 20, grid)
    seen, _ = rasterize_torch(*as_tensors(xy, depth, faces), 14, 17, n_one_sided)
    for b in range(2):
        nearest, expected = np.full((14, 17), FAR), np.full((14, 17), NOTHING, np.int32)
        fill_depth(xy[b], depth[b], faces, n_one_sided, nearest, expected)
        np.testing.assert_array_equal(seen[b], expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-1e6, 1e6, width=32) | st.floats(-1, 9, width=32)] * 2),
        min_size=3, max_size=3,
    ),
    st.floats(width=32),
)  # fmt: skip
def test_equals_numba_on_any_triangle(corners, depth):
    """Slivers, points, subnormal edges, depths that are infinite or no number."""
    xy = np.array([corners + [[0, 0], [8, 1], [1, 8]]], np.float32)
    depths = np.array([[depth, 1, 1, 1, 1, 1]], np.float32)
    with np.errstate(all="ignore"):
        assert_equal_to_numba(xy, depths, np.array([[0, 1, 2], [3, 4, 5]]), 9, 8)


@pytest.fixture(scope="module")
def heads():
    """Heads of several poses and sizes, one of them cut by the image's edge."""
    head = load_head()
    rng = np.random.default_rng(3)
    neutral = head.shape(rng.normal(size=head.n_pcs))
    vertices = head.animate(neutral, rng.uniform(0, 0.5, (6, len(head.unit_names))))
    pose = np.radians(
        [[0, 0, 0], [-60, 10, 5], [75, -20, 0], [20, 30, -30], [180, 0, 90], [9, 9, 9]]
    )
    centre = np.array([[64, 64], [60, 70], [64, 64], [80, 50], [64, 64], [5, 120]])
    xy, depth, _ = project(head, vertices, pose, 128, 36.0, centre)
    return xy, depth, head.triangles


def test_equals_numba_on_the_head(heads):
    seen = assert_equal_to_numba(*heads, 128, 128)
    assert (seen >= 0).mean((1, 2)).min() > 0.05
    xy, depth, faces = heads
    assert_equal_to_numba(xy * np.float32(4.3), depth, faces, 300, 500)


def test_chunks_are_no_part_of_the_result(heads):
    whole = rasterize_torch(*as_tensors(*heads), 128, 128)
    for chunk in (1000, 20_000):
        parts = rasterize_torch(*as_tensors(*heads), 128, 128, chunk=chunk)
        assert all(torch.equal(a, b) for a, b in zip(whole, parts, strict=True))


@pytest.mark.parametrize("depth", [np.inf, np.nan, -np.inf, 3.2e38, -3e38])
def test_equals_numba_at_depths_beyond_reach(depth):
    xy = np.array([[[0, 0], [8, 1], [1, 8]] * 2], np.float32)
    depths = np.array([[depth] * 3 + [1] * 3], np.float32)
    for faces in ([[0, 1, 2]], [[0, 1, 2], [3, 4, 5]]):
        with np.errstate(all="ignore"):
            assert_equal_to_numba(xy, depths, np.array(faces), 9, 9)


def test_equals_numba_on_triangles_almost_without_area():
    """Around a pixel's centre, on both sides of the area below which nothing is drawn."""
    size = np.geomspace(1e-4, 1e-2, 50)[:, None, None]
    xy = (4.5 + size * np.array([[-1, -1], [1, -1], [0, 1]])).astype(np.float32)
    seen = assert_equal_to_numba(xy, np.ones((50, 3), np.float32), np.array([[0, 1, 2]]), 9, 9)
    assert set(seen[:, 4, 4]) == {-1, 0}


def test_ties_go_to_the_lower_index_and_minus_zero_is_zero():
    # at its first corner, which is a pixel's centre, the depth of the second face comes out as -0.0
    xy = np.array([[[4.5, 4.5], [0.5, 5.5], [5.5, 0.5]] * 2], np.float32)
    depth = np.array([[0.0, 0, 0, -0.0, -0.0, -0.0]], np.float32)
    for faces in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        seen = assert_equal_to_numba(xy, depth, np.array(faces), 8, 8)
        assert set(np.unique(seen)) == {-1, 0}


def test_nothing_to_draw():
    """No face, no frame, and triangles without area or off the image."""
    xy = torch.tensor([[[-50.0, -50], [-40, -50], [-50, -40], [3, 3], [3, 3]]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 3], [3, 4, 0]])
    for frames, chosen in ((1, faces), (1, faces[:0]), (0, faces)):
        seen, weights = rasterize_torch(xy[:frames], torch.ones(frames, 5), chosen, 6, 7)
        assert seen.shape == (frames, 6, 7) and weights.shape == (frames, 6, 7, 3)
        assert (seen < 0).all() and (weights == 0).all()


@needs_gpu
def test_gpu_equals_cpu(heads):
    tensors = as_tensors(*heads)
    image = torch.randint(0, 256, (6, 30, 40, 3), dtype=torch.uint8)
    points = torch.rand(6, 20, 20, 2) * 50 - 5
    expected = (*rasterize_torch(*tensors, 128, 128, 5000), sample_bilinear(image, points))
    for _ in range(3):
        found = (
            *rasterize_torch(*(t.cuda() for t in tensors), 128, 128, 5000),
            sample_bilinear(image.cuda(), points.cuda()),
        )
        assert all(torch.equal(a, b.cpu()) for a, b in zip(expected, found, strict=True))


def bilinear(image, x, y):
    """Bilinear sample of one image (H, W, 3) at one point, in float32 throughout."""
    one, half = np.float32(1), np.float32(0.5)
    bottom, right = image.shape[0] - 1, image.shape[1] - 1
    u = min(max(np.float32(x) - half, np.float32(0)), np.float32(right))
    v = min(max(np.float32(y) - half, np.float32(0)), np.float32(bottom))
    left, top = max(min(int(u), right - 1), 0), max(min(int(v), bottom - 1), 0)
    u, v = u - np.float32(left), v - np.float32(top)
    pixels = image.astype(np.float32)
    next_column, next_row = min(left + 1, right), min(top + 1, bottom)
    above = pixels[top, left] * (one - u) + pixels[top, next_column] * u
    below = pixels[next_row, left] * (one - u) + pixels[next_row, next_column] * u
    return above * (one - v) + below * v


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_sampling_equals_its_restatement(seed, height, width, whole):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (2, height, width, 3)).astype(np.uint8 if whole else np.float32)
    xy = rng.uniform(-3, 9, (2, 4, 5, 2)).astype(np.float32)
    xy[0, 0] = np.round(2 * xy[0, 0]) / 2
    colours = sample_bilinear(*as_tensors(image, xy))
    assert colours.dtype == torch.float32
    expected = [[[bilinear(image[b], *p) for p in row] for row in xy[b]] for b in range(2)]
    np.testing.assert_array_equal(colours, np.array(expected, np.float32))


def test_sampling_at_centres_gives_the_pixels_and_clamps_outside():
    image = torch.arange(2 * 3 * 3, dtype=torch.uint8).view(1, 2, 3, 3)
    x, y = torch.meshgrid(torch.arange(3) + 0.5, torch.arange(2) + 0.5, indexing="xy")
    centres = torch.stack([x, y], -1)[None]
    assert torch.equal(sample_bilinear(image, centres), image.float())
    outside = torch.tensor([[[[-99.0, -99], [99, 99], [1.0, 0.5]]]])
    expected = torch.stack([image[0, 0, 0], image[0, 1, 2]]).float()
    sampled = sample_bilinear(image, outside)[0, 0]
    assert torch.equal(sampled[:2], expected)
    assert torch.equal(sampled[2], (image[0, 0, 0].float() + image[0, 0, 1]) / 2)
