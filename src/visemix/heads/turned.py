"""Turn the head in a picture: the picture's own pixels on the fitted head, seen from elsewhere.

Two surfaces carry the picture: the face (the fitted mesh), and hair, neck and background (a
grid of depths that follows the head near it and stays in place far from it, the idea of 300W-LP:
Zhu et al., CVPR 2016, section 4). A part of the face that the picture does not show well takes the
pixels of its mirror image. Light stays as it was taken.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from visemix.heads.fit import Fit
from visemix.heads.model import FIVE_POINTS, Head, ramp, rotation
from visemix.heads.rasterizer import FAR, NOTHING, fill_depth, vertex_normals, weights_at

PIVOT = np.array([0, -0.35, -0.6])  # model space: the head turns about this point inside it
GRID = 56  # points a side
N_GRID_TRIANGLES = 2 * (GRID - 1) ** 2
GRID_MARGIN = 0.35  # by which the grid is larger than the picture, relative to its side
FACE_FIRST = 0.45  # decimetres by which the grid is put back, so that the face hides it
# Cosine between a vertex's normal and the line of sight: not seen well below, well above. Five
# points do not show how wide a face is, so that what is seen at a slant may be background.
GRAZING, FRONTAL = 0.25, 0.5
NARROWER = 0.1  # part of their distance from the middle by which pixels of cheeks are taken inside
EDGE = np.ones((3, 3), np.uint8)  # px around the outline of the face that are softened


@dataclass(frozen=True)
class Surfaces:
    """What carries the pictures of one clip: n face vertices, then GRID * GRID grid points."""

    face: np.ndarray  # (n, 3) float64 model space
    normals: np.ndarray  # (n, 3)
    mirror: np.ndarray  # (n,) index of the mirrored vertex
    donor: np.ndarray  # (n,) index of the vertex whose pixel it takes: itself where seen well
    grid: np.ndarray  # (GRID * GRID, 3) decimetres in the camera's axes, from the head's origin
    follow: np.ndarray  # (GRID * GRID,) 0: stays in place, 1: moves with the head
    triangles: np.ndarray  # (f, 3) int32 into face, then grid


@dataclass(frozen=True)
class View:
    """One frame, ready to be drawn: n + GRID * GRID points."""

    xy: np.ndarray  # (N, 2) float32 px where they are drawn
    depth: np.ndarray  # (N,) float32 decimetres, smaller is nearer
    source: np.ndarray  # (N, 5) float32: px in the picture, px of the mirror image, weight of own
    five_points: np.ndarray  # (5, 2) float64 px of the turned face


def prepare_clip(head: Head, fits: list[Fit], height: int, width: int) -> Surfaces:
    """The surfaces for all frames (height, width) of a clip, from their fits (one identity).

    The grid's depths are those of the frame in the middle of the clip.
    """
    centre = head.rest[head.triangles].mean(1)
    front = (centre[:, 2] > 0.35) & (centre[:, 1] > 6.15) & (centre[:, 1] < 7.95)
    ears = (abs(centre[:, 0]) > 0.7) & (centre[:, 2] > 0.05)
    ears &= (centre[:, 1] > 6.8) & (centre[:, 1] < 7.45)
    triangles = head.triangles[(head.part <= 2) & (front | ears)]
    used, numbered = np.unique(triangles, return_inverse=True)
    neutral = fits[0].neutral
    place = np.full(len(neutral), -1)
    place[used] = np.arange(len(used))
    mirror = place[head.mirror[used]]
    middle = fits[len(fits) // 2]
    grid, follow = _grid(head, neutral, middle, height, width)
    face = neutral[used].astype(float)
    normals = vertex_normals(neutral[None], triangles)[0, used].astype(float)
    return Surfaces(
        face=face,
        normals=normals,
        mirror=np.where(mirror < 0, np.arange(len(used)), mirror),
        donor=_donors(face, normals @ middle.rotation[2], head.region("ears")[used] > 0),
        grid=grid,
        follow=follow,
        triangles=np.concatenate(
            [numbered.reshape(-1, 3), _grid_triangles() + len(used)]
        ).astype(np.int32),
    )  # fmt: skip


def _grid(head: Head, neutral, fit: Fit, height: int, width: int):
    """Points (GRID * GRID, 3) over the picture, and how far each follows the head (0..1)."""
    x = np.linspace(-GRID_MARGIN * width, (1 + GRID_MARGIN) * width, GRID)
    y = np.linspace(-GRID_MARGIN * height, (1 + GRID_MARGIN) * height, GRID)
    pixels = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    flat = (pixels - fit.shift) / fit.scale * (1, -1)
    skull = (neutral[head.rest[:, 1] > 6.1] @ fit.rotation.T).astype(float)
    distance = np.linalg.norm((flat - skull[:, :2].mean(0)) / (1.05, 1.25), axis=1)
    gap, nearest = cKDTree(skull[:, :2]).query(flat, k=8)
    top = skull[nearest, 2].max(1)
    back = fit.rotation[2] @ (0, 0, -0.2)
    depth = back + (top - back) * 0.75 * np.exp(-((gap[:, 0] / 0.12) ** 2))
    return np.concatenate([flat, depth[:, None]], 1), ramp(2.45, 0.95, distance)


def _donors(face, facing, is_ear) -> np.ndarray:
    """For each vertex (n,) that is hardly seen the nearest that is seen well, no ear's."""
    usable = np.flatnonzero((facing >= FRONTAL) & ~is_ear)
    nearest = usable[cKDTree(face[usable]).query(face)[1]]
    return np.where(is_ear | (facing >= GRAZING), np.arange(len(face)), nearest)


def _grid_triangles() -> np.ndarray:
    """Two triangles (f, 3) for each cell of the grid."""
    i = np.arange(GRID * GRID).reshape(GRID, GRID)
    a, b, c, d = (part.ravel() for part in (i[:-1, :-1], i[1:, :-1], i[:-1, 1:], i[1:, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([c, b, d], 1)])


def view(surfaces: Surfaces, fit: Fit, yaw: float, pitch: float) -> View:
    """One frame with its head turned by yaw and pitch (radians) more than it was."""
    before = fit.rotation
    after = rotation(*(fit.angles + (yaw, pitch, 0)))[0]
    pivot = before @ PIVOT
    side = surfaces.face[:, :1]
    inwards = side * NARROWER * ramp(0.4, 0.75, abs(side)) * (1, 0, 0)
    face = (surfaces.face - inwards) @ before.T
    turned = (surfaces.face - PIVOT) @ after.T + pivot
    moved = (surfaces.grid - pivot) @ (after @ before.T).T + pivot
    grid = surfaces.grid + (moved - surfaces.grid) * surfaces.follow[:, None]
    points = np.concatenate([turned, grid])
    depth = -points[:, 2]
    depth[len(turned) :] += FACE_FIRST
    source = np.empty((len(points), 5), np.float32)
    pixels = _pixels(fit, np.concatenate([face, surfaces.grid]))
    source[:, :2] = source[:, 2:4] = pixels
    source[: len(face), :2] = pixels[surfaces.donor]
    source[: len(face), 2:4] = pixels[surfaces.donor[surfaces.mirror]]
    source[:, 4] = 1
    source[: len(face), 4] = _own_weight(surfaces, before)
    five = (fit.neutral[FIVE_POINTS] - PIVOT) @ after.T + pivot
    return View(
        xy=_pixels(fit, points).astype(np.float32),
        depth=depth.astype(np.float32),
        source=source,
        five_points=_pixels(fit, five),
    )


def _pixels(fit: Fit, camera) -> np.ndarray:
    """Points (..., 3) in the camera's axes as pixels (..., 2)."""
    return camera[..., :2] * (fit.scale, -fit.scale) + fit.shift


def _own_weight(surfaces: Surfaces, rotation_matrix) -> np.ndarray:
    """Weight (n,) of each vertex's own pixel in its colour, the mirror image having the rest.

    1 where the vertex is seen well; where neither is, both have a half.
    """
    seen = ((surfaces.normals @ rotation_matrix[2] - GRAZING) / (FRONTAL - GRAZING)).clip(0, 1)
    other = seen[surfaces.mirror]
    return (seen + 1e-3) / (seen + other * (1 - seen) + 2e-3 - 1e-3 * seen)


def draw(surfaces: Surfaces, seen_from: View, picture: np.ndarray) -> np.ndarray:
    """The picture (H, W, 3) uint8 as the view has it, of the same size and type."""
    height, width = picture.shape[:2]
    nearest = np.full((height, width), FAR, np.float32)
    seen = np.full((height, width), NOTHING, np.int32)
    fill_depth(seen_from.xy, seen_from.depth, surfaces.triangles, 0, nearest, seen)
    out = np.zeros_like(picture)
    _shade(seen, seen_from.xy, surfaces.triangles, seen_from.source, picture, out)
    soften_outline(out, seen, len(surfaces.triangles))
    return out


def soften_outline(frame: np.ndarray, seen: np.ndarray, n_triangles: int) -> None:
    """Blur a drawn frame (H, W, 3) uint8, in place, where the face ends and the grid begins.

    seen (H, W): the triangle in each pixel, of which there are n_triangles.
    """
    face = (seen < n_triangles - N_GRID_TRIANGLES).astype(np.uint8)
    outline = cv2.morphologyEx(face, cv2.MORPH_GRADIENT, EDGE)
    cv2.copyTo(cv2.blur(frame, EDGE.shape), outline, frame)


@njit(cache=True)
def _shade(seen, xy, triangles, source, picture, out):
    """Colour out (H, W, 3) uint8 with the picture's pixels; where nothing is seen it stays."""
    one = np.float32(1)
    pixel = np.empty(3, np.float32)
    mirrored = np.empty(3, np.float32)
    at = np.empty(5, np.float32)
    for y in range(seen.shape[0]):
        for x in range(seen.shape[1]):
            f = seen[y, x]
            if f < 0:
                continue
            i, j, k = triangles[f, 0], triangles[f, 1], triangles[f, 2]
            wi, wj, wk = weights_at(xy, i, j, k, x + 0.5, y + 0.5)
            for c in range(5):
                at[c] = wi * source[i, c] + wj * source[j, c] + wk * source[k, c]
            _sample(picture, at[0], at[1], pixel)
            own = at[4]
            if own < one:
                _sample(picture, at[2], at[3], mirrored)
                for c in range(3):
                    pixel[c] = pixel[c] * own + mirrored[c] * (one - own)
            for c in range(3):
                out[y, x, c] = np.uint8(pixel[c] + np.float32(0.5))


@njit(cache=True, inline="always")
def _sample(picture, x, y, out):
    """Bilinear colour out (3,) of the picture at px x, y.

    Beyond its sides the edge is continued, below it the picture is reflected: where a head looks
    up, a chest comes into sight.
    """
    bottom, right = picture.shape[0] - 1, picture.shape[1] - 1
    u = min(max(x - np.float32(0.5), np.float32(0)), np.float32(right))
    last = np.float32(bottom)
    v = max(last - abs(last - max(y - np.float32(0.5), np.float32(0))), np.float32(0))
    left, top = min(int(u), right - 1), min(int(v), bottom - 1)
    u, v = u - np.float32(left), v - np.float32(top)
    for c in range(3):
        above = picture[top, left, c] * (np.float32(1) - u) + picture[top, left + 1, c] * u
        below = picture[top + 1, left, c] * (np.float32(1) - u) + picture[top + 1, left + 1, c] * u
        out[c] = above * (np.float32(1) - v) + below * v
