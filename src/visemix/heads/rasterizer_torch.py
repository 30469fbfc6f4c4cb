"""The z-buffer of `rasterizer` in torch, for GPUs, and bilinear sampling of a texture.

Every formula is that of the numba z-buffer, in the same order of float32 operations, each rounded
on its own, so that on the CPU both see the same triangles with the same weights, bit for bit.
Nothing depends on the order in which a GPU does its work: a pixel keeps the least of 64-bit keys,
which hold the bits of the depth and, below them, the triangle's index.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from visemix.heads.rasterizer import _MARGIN, FAR, NOTHING

CHUNK = 2**20  # pixels of bounding boxes, or of frames, looked at in one go
_LEAST, _MOST, _FAR = float(_MARGIN), float(np.float32(1) - _MARGIN), float(FAR)
_EMPTY = 2**63 - 1  # key of a pixel that no triangle covers
_INDEX = 2**32 - 1  # bits of a key that hold the triangle's index


def rasterize_torch(
    xy: Tensor,
    depth: Tensor,
    faces: Tensor,
    height: int,
    width: int,
    n_one_sided: int = 0,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    """Nearest triangle (B, H, W) int32 (-1: none) and its weights (B, H, W, 3) float32.

    xy (B, V, 2) px, depth (B, V), faces (F, 3), all on one device, on which the results lie, too.
    The first `n_one_sided` faces are left out where they turn their back, as in
    rasterizer.fill_depth. Weights are barycentric in the image and sum to one where a triangle is
    seen, and are zero elsewhere. `chunk` bounds the memory, some 200 bytes for each pixel looked
    at in one go (never fewer than one frame's or one box's), and is no part of the result.
    """
    xy, depth, faces = xy.float(), depth.float(), faces.long()
    seen = torch.full((len(xy), height, width), NOTHING, dtype=torch.int32, device=xy.device)
    weights = torch.zeros(*seen.shape, 3, device=xy.device)
    if not (len(faces) and seen.numel()):
        return seen, weights
    n_frames = max(1, chunk // max(len(faces), height * width))
    for start in range(0, len(xy), n_frames):
        part = slice(start, start + n_frames)
        corners = _corners(xy[part], depth[part], faces)
        seen[part] = _nearest(corners, height, width, n_one_sided, chunk)
        weights[part] = _weights(corners, seen[part])
    return seen, weights


def _corners(xy: Tensor, depth: Tensor, faces: Tensor) -> Tensor:
    """What the formulas need of each triangle (B, F, 10).

    First corner's x, y; the edges u and v from it to the other two; twice the area; depth of the
    first corner and what the other two add to it.
    """
    a, b, c = (xy[:, faces[:, n]] for n in range(3))
    da, db, dc = (depth[:, faces[:, n]] for n in range(3))
    (ux, uy), (vx, vy) = (b - a).unbind(-1), (c - a).unbind(-1)
    area = ux * vy - uy * vx
    return torch.stack([*a.unbind(-1), ux, uy, vx, vy, area, da, db - da, dc - da], -1)


def _nearest(corners: Tensor, height: int, width: int, n_one_sided: int, chunk: int) -> Tensor:
    """Index (B, H, W) int64 of the nearest triangle of each pixel, -1 where there is none."""
    n_frames, n_faces = corners.shape[:2]
    low, high, drawn = _boxes(corners, height, width)
    drawn[:, :n_one_sided] &= ~(corners[:, :n_one_sided, 6] > 0)
    corners, low, high = corners.flatten(0, 1), low.flatten(0, 1), high.flatten(0, 1)
    keys = torch.full((n_frames * height * width,), _EMPTY, device=corners.device)
    for members, columns, rows in _size_classes(low, high, drawn.flatten()):
        for part in members.split(max(1, chunk // (columns * rows))):
            n, x, y, d = _covered(corners[part], low[part], high[part], columns, rows)
            frame, face = part[n] // n_faces, part[n] % n_faces
            keys.scatter_reduce_(0, (frame * height + y) * width + x, _key(d, face), "amin")
    seen = torch.where(keys < _EMPTY, keys & _INDEX, NOTHING)
    return seen.view(n_frames, height, width)


def _boxes(corners: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """First and last pixel x, y (B, F, 2) that a triangle can cover, and whether it has any."""
    a, u, v, area = corners[..., 0:2], corners[..., 2:4], corners[..., 4:6], corners[..., 6]
    limit = torch.tensor([width - 1.0, height - 1.0], device=corners.device)
    low = torch.ceil(a + torch.minimum(u, v).clamp(max=0) - 0.5).clamp(min=0)
    high = torch.floor(a + torch.maximum(u, v).clamp(min=0) - 0.5).minimum(limit)
    # numba compares with 1e-6 in float64
    return low, high, (low <= high).all(-1) & ~(area.abs().double() < 1e-6)


def _size_classes(low: Tensor, high: Tensor, drawn: Tensor) -> Iterator[tuple[Tensor, int, int]]:
    """Triangles whose boxes have the same width and height, rounded up to powers of two."""
    members = drawn.nonzero().squeeze(1)
    powers = 2 ** torch.arange(31, device=low.device)
    size = torch.bucketize((high - low + 1)[members], powers)
    codes, order = (size[:, 0] * len(powers) + size[:, 1]).sort()
    codes, counts = codes.unique_consecutive(return_counts=True)
    groups = members[order].split(counts.tolist())
    for code, group in zip(codes.tolist(), groups, strict=True):
        yield group, 2 ** (code // len(powers)), 2 ** (code % len(powers))


def _covered(corners, low, high, columns: int, rows: int) -> tuple[Tensor, ...]:
    """Pixels that triangles (m, 10) cover: triangle 0..m-1, x, y (int64) and depth, each (p,)."""
    ax, ay, ux, uy, vx, vy, area, da, db, dc = corners[..., None].unbind(1)  # (m, 1) each
    inverse = 1 / area
    ux, uy, vx, vy = ux * inverse, uy * inverse, vx * inverse, vy * inverse
    sj, sk, si = vy, -uy, uy - vy
    y = low[:, 1:] + torch.arange(rows, device=low.device)  # (m, rows)
    py = y + 0.5 - ay
    ej, ek = -py * vx, py * ux
    first, last = low[:, :1].expand_as(y), high[:, :1].expand_as(y)
    first, last = _clip_row(first, last, ax, sj, -ej * _reciprocal(sj))
    first, last = _clip_row(first, last, ax, sk, -ek * _reciprocal(sk))
    first, last = _clip_row(first, last, ax, si, (ej + ek - 1) * _reciprocal(si))
    last = torch.where(y <= high[:, 1:], last, -1)  # rows below the box
    x = (low[:, :1] + torch.arange(columns, device=low.device))[:, None]  # (m, 1, columns)
    px = x + 0.5 - ax[..., None]
    wj = px * sj[..., None] + ej[..., None]  # (m, rows, columns)
    wk = px * sk[..., None] + ek[..., None]
    d = da[..., None] + wj * db[..., None] + wk * dc[..., None]
    inside = (wj >= _LEAST) & (wk >= _LEAST) & (wj + wk <= _MOST) & (d < _FAR)
    inside &= (x >= first[..., None]) & (x <= last[..., None])
    n, row, column = inside.nonzero().unbind(1)
    return n, x[n, 0, column].long(), y[n, row].long(), d[inside]


def _reciprocal(x: Tensor) -> Tensor:
    return torch.where(x != 0, 1 / x, 0)


def _clip_row(first, last, ax, slope, zero) -> tuple[Tensor, Tensor]:
    # `where`, not maximum and minimum: a bound that is not a number must not count.
    left, right = zero + ax - 0.51, zero + ax - 0.49
    first = torch.where((slope > 0) & (left > first), left, first)
    return first, torch.where((slope < 0) & (right < last), right, last)


def _key(depth: Tensor, face: Tensor) -> Tensor:
    """64 bits that are in order of depth and, for equal depths, of the triangle's index."""
    bits = (depth + 0.0).view(torch.int32)  # -0.0 becomes 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # float32 order as that of integers
    return ordered.long() << 32 | face


def _weights(corners: Tensor, seen: Tensor) -> Tensor:
    """Barycentric weights (B, H, W, 3) of the pixels' centres in the triangles they see."""
    frame = torch.arange(len(seen), device=seen.device)[:, None, None]
    chosen = corners[frame, seen.clamp(min=0).long(), :7]
    ax, ay, ux, uy, vx, vy, area = chosen.unbind(-1)
    inverse = 1 / area
    px = torch.arange(seen.shape[2], device=seen.device) + 0.5 - ax
    py = torch.arange(seen.shape[1], device=seen.device)[:, None] + 0.5 - ay
    wj = (px * vy - py * vx) * inverse
    wk = (py * ux - px * uy) * inverse
    return torch.where((seen >= 0)[..., None], torch.stack([1 - wj - wk, wj, wk], -1), 0)


def sample_bilinear(image: Tensor, xy: Tensor) -> Tensor:
    """Colours (B, h, w, 3) float32 of images (B, H, W, 3), uint8 or float32, at xy (B, h, w, 2).

    xy in px of the image, x first, pixel centres at +0.5; outside, the edge's colour is taken.
    All in float32: half a pixel off, clamped, whole part and rest, the two pixels above mixed
    along x, the two below, then both along y. Points must be finite.
    """
    n_images, height, width = image.shape[:3]
    limit = torch.tensor([width - 1.0, height - 1.0], device=xy.device)
    point = (xy.float() - 0.5).clamp(min=0).minimum(limit)
    # at the far edge the last pair is taken, with all the weight on its second pixel
    first = point.long().minimum((limit - 1).clamp(min=0).long())
    u, v = (point - first)[..., None, :].unbind(-1)
    (left, top), (right, bottom) = first.unbind(-1), (first + 1).minimum(limit.long()).unbind(-1)
    frame = torch.arange(n_images, device=image.device)[:, None, None]

    def pixel(row: Tensor, column: Tensor) -> Tensor:
        return image[frame, row, column].float()

    above = pixel(top, left) * (1 - u) + pixel(top, right) * u
    below = pixel(bottom, left) * (1 - u) + pixel(bottom, right) * u
    return above * (1 - v) + below * v
