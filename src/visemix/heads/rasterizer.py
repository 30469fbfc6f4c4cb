"""Z-buffer rasteriser for triangle meshes on the CPU (numba), and vertex normals.

Screen points `xy` are in pixels (x right, y down, pixel centres at +0.5); smaller `depth` is
nearer. Of two triangles at the same depth the one with the lower index is seen.
"""

import numpy as np
from numba import njit

NOTHING = -1  # triangle index of a pixel that no triangle covers
FAR = np.float32(3e38)
_MARGIN = np.float32(-1e-6)  # weights this far outside still count: no cracks along common edges


@njit(cache=True)
def fill_depth(xy, depth, faces, n_one_sided, nearest, seen):
    """Find the nearest triangle of every pixel of one frame, in place.

    xy (V, 2) and depth (V,) float32, faces (F, 3) int32; the first `n_one_sided` faces are left
    out where they turn their back (in the mesh's orientation, counter-clockwise seen from outside).
    nearest (H, W) float32 depth and seen (H, W) int32 triangle index must be reset by the caller.
    """
    height, width = seen.shape
    half = np.float32(0.5)
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay = xy[i, 0], xy[i, 1]
        ux, uy = xy[j, 0] - ax, xy[j, 1] - ay
        vx, vy = xy[k, 0] - ax, xy[k, 1] - ay
        area = ux * vy - uy * vx
        # y points down, so a triangle that faces the camera has a negative area
        if (f < n_one_sided and area > 0) or abs(area) < 1e-6:
            continue
        x0 = max(0, int(np.ceil(ax + min(np.float32(0), ux, vx) - half)))
        x1 = min(width - 1, int(np.floor(ax + max(np.float32(0), ux, vx) - half)))
        y0 = max(0, int(np.ceil(ay + min(np.float32(0), uy, vy) - half)))
        y1 = min(height - 1, int(np.floor(ay + max(np.float32(0), uy, vy) - half)))
        if x0 > x1 or y0 > y1:
            continue
        inverse = np.float32(1) / area
        ux, uy, vx, vy = ux * inverse, uy * inverse, vx * inverse, vy * inverse
        # change of the three weights per pixel to the right, and where along a row each is zero
        sj, sk, si = vy, -uy, uy - vy
        rj, rk, ri = _reciprocal(sj), _reciprocal(sk), _reciprocal(si)
        da = depth[i]
        db, dc = depth[j] - da, depth[k] - da
        for y in range(y0, y1 + 1):
            py = np.float32(y) + half - ay
            ej, ek = -py * vx, py * ux  # weights at the column of the first corner
            first, last = np.float32(x0), np.float32(x1)
            first, last = _clip_row(first, last, ax, sj, -ej * rj)
            first, last = _clip_row(first, last, ax, sk, -ek * rk)
            first, last = _clip_row(first, last, ax, si, (ej + ek - np.float32(1)) * ri)
            for x in range(int(np.ceil(first)), int(np.floor(last)) + 1):
                px = np.float32(x) + half - ax
                wj = px * sj + ej
                wk = px * sk + ek
                if wj >= _MARGIN and wk >= _MARGIN and wj + wk <= np.float32(1) - _MARGIN:
                    d = da + wj * db + wk * dc
                    if d < nearest[y, x]:
                        nearest[y, x] = d
                        seen[y, x] = f


@njit(cache=True, inline="always")
def _reciprocal(x):
    return np.float32(1) / x if x != 0 else np.float32(0)


@njit(cache=True, inline="always")
def _clip_row(first, last, ax, slope, zero):
    """Narrow the columns first..last to where a weight that is 0 at `zero` is not negative.

    Generous by a hundredth of a pixel: the exact test follows.
    """
    if slope > 0:
        return max(first, zero + ax - np.float32(0.51)), last
    if slope < 0:
        return first, min(last, zero + ax - np.float32(0.49))
    return first, last


@njit(cache=True)
def weights_at(xy, i, j, k, x, y):
    """Barycentric weights of the point (x, y) in the triangle of vertices i, j, k."""
    ax, ay = xy[i, 0], xy[i, 1]
    ux, uy = xy[j, 0] - ax, xy[j, 1] - ay
    vx, vy = xy[k, 0] - ax, xy[k, 1] - ay
    inverse = np.float32(1) / (ux * vy - uy * vx)
    px, py = np.float32(x) - ax, np.float32(y) - ay
    wj = (px * vy - py * vx) * inverse
    wk = (py * ux - px * uy) * inverse
    return np.float32(1) - wj - wk, wj, wk


@njit(cache=True)
def _fill_weights(xy, faces, seen, weights):
    for y in range(seen.shape[0]):
        for x in range(seen.shape[1]):
            f = seen[y, x]
            if f >= 0:
                i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
                w = weights_at(xy, i, j, k, x + 0.5, y + 0.5)
                weights[y, x, 0], weights[y, x, 1], weights[y, x, 2] = w


def rasterize(xy, depth, faces, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle (B, H, W) int32 (-1: none) and its weights (B, H, W, 3) float32.

    xy (B, V, 2) px, depth (B, V), faces (F, 3) seen from both sides. Weights are barycentric in
    the image and sum to one where a triangle is seen, and are zero elsewhere.
    """
    xy = np.ascontiguousarray(xy, np.float32)
    depth = np.ascontiguousarray(depth, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    seen = np.full((len(xy), height, width), NOTHING, np.int32)
    weights = np.zeros((len(xy), height, width, 3), np.float32)
    nearest = np.empty((height, width), np.float32)
    for b in range(len(xy)):
        nearest.fill(FAR)
        fill_depth(xy[b], depth[b], faces, 0, nearest, seen[b])
        _fill_weights(xy[b], faces, seen[b], weights[b])
    return seen, weights


@njit(cache=True)
def _sum_normals(vertices, faces, out):
    for b in range(vertices.shape[0]):
        p, n = vertices[b], out[b]
        for f in range(faces.shape[0]):
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            ux, uy, uz = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1], p[j, 2] - p[i, 2]
            vx, vy, vz = p[k, 0] - p[i, 0], p[k, 1] - p[i, 1], p[k, 2] - p[i, 2]
            x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
            for corner in (i, j, k):
                n[corner, 0] += x
                n[corner, 1] += y
                n[corner, 2] += z
        for v in range(n.shape[0]):
            length = np.sqrt(n[v, 0] ** 2 + n[v, 1] ** 2 + n[v, 2] ** 2)
            scale = np.float32(1) / (length + np.float32(1e-12))
            n[v, 0] *= scale
            n[v, 1] *= scale
            n[v, 2] *= scale


def vertex_normals(vertices, faces) -> np.ndarray:
    """Area-weighted unit normals (B, V, 3) float32 of vertices (B, V, 3) under faces (F, 3).

    A vertex that no face uses gets a zero normal.
    """
    vertices = np.ascontiguousarray(vertices, np.float32)
    out = np.zeros_like(vertices)
    _sum_normals(vertices, np.ascontiguousarray(faces, np.int32), out)
    return out
