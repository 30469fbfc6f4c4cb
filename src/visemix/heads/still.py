"""A still picture whose mouth can be moved: the still's own pixels on the fitted head.

The skin is the mesh with the picture as its texture, so that light and shade stay as they were
taken ("baked"); teeth, tongue and the inside of the mouth are painted, as a closed mouth shows
none of them. The head keeps its pose, so the picture outside the mouth's reach is copied.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

from visemix.heads.articulation import ARTICULATORS
from visemix.heads.fit import Fit
from visemix.heads.model import FIVE_POINTS, Head, ramp
from visemix.heads.rasterizer import FAR, NOTHING, fill_depth, weights_at

MOUTH_UNITS = sorted({unit for gains in ARTICULATORS.values() for unit in gains} | {"mouthClose"})
LEAST_MOTION = 0.02  # px: what moves less under every unit is left as it is
MARGIN = 3  # px around what can move
LIGHT_GAP = 0.06  # decimetres between the lips at which the teeth get full light
LEAST_LIGHT = 0.2  # proportion of it that a closed mouth lets in
# part -> colour at full light, and the depth range (model z of the mesh at rest, decimetres) over
# which the light falls to a quarter inside the mouth
INNER_PARTS = {
    "teeth_upper": ((0.74, 0.70, 0.63), 1.44, 1.10),
    "teeth_lower": ((0.68, 0.64, 0.57), 1.44, 1.10),
    "tongue": ((0.66, 0.32, 0.31), 1.35, 1.00),
    "mouth_inside": ((0.40, 0.13, 0.12), 1.44, 1.05),
}


@dataclass(frozen=True)
class Still:
    """A picture made ready to be moved: n vertices, f triangles, u face units.

    `box` is x0, y0, x1, y1 of the part that can change; points are relative to its corner.
    """

    image: np.ndarray  # (H, W, 3) uint8
    box: tuple[int, int, int, int]
    points: np.ndarray  # (n, 3) float32 x, y, depth in px
    motion: np.ndarray  # (u, n, 3) float32 px per unit weight
    faces: np.ndarray  # (f, 3) int32, skin first
    n_skin: int
    texture: np.ndarray  # (n, 2) float32 px in `image`, where a skin vertex takes its colour
    colours: np.ndarray  # (n, 3) float32 0..255, of inner vertices
    unit_names: list[str]
    light_gap: float  # px between the lips at which light comes in fully


def prepare_still(head: Head, image: np.ndarray, fit: Fit) -> Still:
    """Make a picture (H, W, 3) uint8 RGB with its fit ready for `draw_still`.

    Costs some hundredths of a second, once per picture. The lips should be closed in it: an open
    mouth keeps its own teeth.
    """
    units = head.units[[head.unit(name) for name in MOUTH_UNITS]]
    moves = _pixels(fit.directions(units))
    shape = head.animate(fit.neutral, np.zeros((1, len(head.unit_names))))[0]
    points = _pixels(fit.directions(shape)) + np.r_[fit.shift, 0].astype(np.float32)
    skin, inner = _front_triangles(head), head.triangles[head.part >= 3]
    box = _reach(points, moves, np.unique(skin), image.shape)
    faces = np.concatenate([skin, inner])
    faces = faces[_touches(points, moves, faces, box)]
    used, numbered = np.unique(faces, return_inverse=True)
    texture = points[used, :2].copy()
    origin = np.array([box[0], box[1], 0], np.float32)
    return Still(
        image=np.ascontiguousarray(image),
        box=box,
        points=points[used] - origin,
        motion=np.ascontiguousarray(moves[:, used]),
        faces=numbered.reshape(faces.shape).astype(np.int32),
        n_skin=int(np.isin(faces[:, 0], skin).sum()),
        texture=texture,
        colours=_inner_colours(head, _brightness(image, points))[used],
        unit_names=MOUTH_UNITS,
        light_gap=LIGHT_GAP * fit.scale,
    )


def draw_still(still: Still, weights: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 for face-unit weights (T, u), columns as in `still.unit_names`."""
    weights = np.asarray(weights, np.float32)
    if weights.ndim != 2 or weights.shape[1] != len(still.unit_names):
        raise ValueError(f"weights must be (T, {len(still.unit_names)}), not {weights.shape}")
    moved = weights @ still.motion.reshape(len(still.unit_names), -1)
    moved = moved.reshape(len(weights), -1, 3) + still.points
    frames = np.broadcast_to(still.image, (len(weights), *still.image.shape)).copy()
    x0, y0, x1, y1 = still.box
    nearest = np.empty((y1 - y0, x1 - x0), np.float32)
    seen = np.empty(nearest.shape, np.int32)
    inner = np.empty((*nearest.shape, 1), np.float32)
    for frame, points in zip(frames, moved, strict=True):
        region = frame[y0:y1, x0:x1]
        nearest.fill(FAR)
        seen.fill(NOTHING)
        xy = np.ascontiguousarray(points[:, :2])
        fill_depth(xy, points[:, 2].copy(), still.faces, still.n_skin, nearest, seen)
        _shade(
            seen, xy, still.faces, still.n_skin, still.texture, still.colours, still.image,
            region, inner[..., 0],
        )  # fmt: skip
        if inner.any():
            _darken_gaps(region, inner[..., 0], still.light_gap)
            _soften(region, inner)
    return frames


def _pixels(directions: np.ndarray) -> np.ndarray:
    """Directions with the third axis pointing away from the camera (depth), float32."""
    return (directions * (1, 1, -1)).astype(np.float32)


def _front_triangles(head: Head) -> np.ndarray:
    """Skin triangles (f, 3) of face and throat, without the back of the head."""
    centre = head.rest[head.triangles].mean(1)
    chosen = (head.part == 0) & (centre[:, 2] > 0.35)
    chosen &= (centre[:, 1] > 6.15) & (centre[:, 1] < 7.95)
    return head.triangles[chosen]


def _reach(points, moves, skin, shape) -> tuple[int, int, int, int]:
    """Box x0, y0, x1, y1 around all skin that a unit moves, before and after."""
    extent = np.abs(moves[:, skin, :2])
    moving = skin[extent.max((0, 2)) > LEAST_MOTION]
    low = np.minimum(0, moves[:, moving, :2]).sum(0)
    high = np.maximum(0, moves[:, moving, :2]).sum(0)
    x0, y0 = np.floor((points[moving, :2] + low).min(0)) - MARGIN
    x1, y1 = np.ceil((points[moving, :2] + high).max(0)) + MARGIN
    height, width = shape[:2]
    return (
        int(np.clip(x0, 0, width - 1)), int(np.clip(y0, 0, height - 1)),
        int(np.clip(x1, 1, width)), int(np.clip(y1, 1, height)),
    )  # fmt: skip


def _touches(points, moves, faces, box) -> np.ndarray:
    """Which triangles (f,) can come into the box."""
    low = (points[:, :2] + np.minimum(0, moves[..., :2]).sum(0))[faces].min(1)
    high = (points[:, :2] + np.maximum(0, moves[..., :2]).sum(0))[faces].max(1)
    x0, y0, x1, y1 = box
    return (high[:, 0] > x0) & (low[:, 0] < x1) & (high[:, 1] > y0) & (low[:, 1] < y1)


def _brightness(image, points) -> float:
    """How light the face is, 0..1: what the teeth are scaled by."""
    height, width = image.shape[:2]
    x0, y0 = points[FIVE_POINTS, :2].min(0).astype(int).clip(0, (width - 2, height - 2))
    x1, y1 = points[FIVE_POINTS, :2].max(0).astype(int) + 1
    return float(np.percentile(image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)], 90)) / 255


def _inner_colours(head: Head, brightness: float) -> np.ndarray:
    """Painted colours (V, 3) float32 0..255 of the vertices inside the mouth; zero elsewhere."""
    colours = np.zeros((len(head.rest), 3), np.float32)
    for name, (rgb, bright, dark) in INNER_PARTS.items():
        part = head.part_vertices(name)
        light = 1 - 0.75 * ramp(bright, dark, head.rest[part, 2])
        colours[part] = 255 * brightness * light[:, None] * np.array(rgb)
    return colours


@njit(cache=True)
def _shade(seen, xy, faces, n_skin, texture, colours, image, region, inner):
    """Colour the pixels of `region` (h, w, 3) uint8 in place; `inner` (h, w) marks the mouth."""
    bottom, right = image.shape[0] - 1, image.shape[1] - 1
    for y in range(seen.shape[0]):
        for x in range(seen.shape[1]):
            inner[y, x] = 0
            f = seen[y, x]
            if f < 0:
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            wi, wj, wk = weights_at(xy, i, j, k, x + 0.5, y + 0.5)
            if f >= n_skin:
                inner[y, x] = 1
                for c in range(3):
                    value = wi * colours[i, c] + wj * colours[j, c] + wk * colours[k, c]
                    region[y, x, c] = np.uint8(min(max(value, 0.0), 255.0))
                continue
            u = wi * texture[i, 0] + wj * texture[j, 0] + wk * texture[k, 0] - np.float32(0.5)
            v = wi * texture[i, 1] + wj * texture[j, 1] + wk * texture[k, 1] - np.float32(0.5)
            u = min(max(u, np.float32(0)), np.float32(right))
            v = min(max(v, np.float32(0)), np.float32(bottom))
            left, top = min(int(u), right - 1), min(int(v), bottom - 1)
            u, v = u - left, v - top
            for c in range(3):
                above = image[top, left, c] * (1 - u) + image[top, left + 1, c] * u
                below = image[top + 1, left, c] * (1 - u) + image[top + 1, left + 1, c] * u
                region[y, x, c] = np.uint8(above * (1 - v) + below * v + np.float32(0.5))


@njit(cache=True)
def _darken_gaps(region, inner, light_gap):
    """Darken the inside of the mouth (in place) where the lips are close to each other.

    Nothing else casts shadow into the mouth: without this, teeth shine through lips that meet.
    """
    height, width = inner.shape
    for x in range(width):
        y = 0
        while y < height:
            start = y
            while y < height and inner[y, x] > 0:
                y += 1
            light = np.float32(min(1.0, max(LEAST_LIGHT, (y - start - 1) / light_gap)))
            for row in range(start, y):
                for c in range(3):
                    region[row, x, c] = np.uint8(region[row, x, c] * light)
            y += 1


def _soften(region: np.ndarray, inner: np.ndarray) -> None:
    """Blur the region (h, w, 3) along and inside the open mouth, so that edges are not jagged."""
    amount = cv2.blur(inner, (3, 3))[..., None]
    blurred = cv2.blur(region, (3, 3))
    region[:] = (region + (blurred - region.astype(np.float32)) * amount + 0.5).astype(np.uint8)
