"""The painted texture of one person: skin, lips, brows, stubble, eyes, teeth, clothes.

It is painted at half of the model's texture size: at the scales that clips are drawn at, one
texel is then about one pixel, and a finer texture would cost four times as much and not be seen.
"""

import cv2
import numpy as np
from numba import njit

from visemix.heads.appearance import Look
from visemix.heads.hair import SKULL, hairline
from visemix.heads.model import Head, ramp
from visemix.heads.rasterizer import rasterize

TEXTURE_SCALE = 0.5
EYES = np.array([[0.3078, 7.2841, 1.2454], [-0.3078, 7.2841, 1.2454]], np.float32)  # base mesh
NOISE_SIZE = 48
SKIN, EYE_LEFT, EYE_RIGHT, TEETH_UPPER, TEETH_LOWER, TONGUE, MOUTH_INSIDE = range(7)


@njit(cache=True, fastmath=True)
def _noise(volume, x, y, z):
    """Trilinear look-up of a mirrored noise volume (N, N, N)."""
    top = np.float32(volume.shape[0] - 1.001)
    one, two = np.float32(1), np.float32(2)
    x = abs((x - two * np.floor(x * np.float32(0.5))) - one) * top
    y = abs((y - two * np.floor(y * np.float32(0.5))) - one) * top
    z = abs((z - two * np.floor(z * np.float32(0.5))) - one) * top
    i, j, k = int(x), int(y), int(z)
    x, y, z = x - np.float32(i), y - np.float32(j), z - np.float32(k)
    a = volume[i, j, k] + (volume[i, j, k + 1] - volume[i, j, k]) * z
    b = volume[i, j + 1, k] + (volume[i, j + 1, k + 1] - volume[i, j + 1, k]) * z
    c = volume[i + 1, j, k] + (volume[i + 1, j, k + 1] - volume[i + 1, j, k]) * z
    d = volume[i + 1, j + 1, k] + (volume[i + 1, j + 1, k + 1] - volume[i + 1, j + 1, k]) * z
    return (a + (b - a) * y) * (one - x) + (c + (d - c) * y) * x


@njit(cache=True, fastmath=True)
def _ramp(start, stop, x):
    t = min(1.0, max(0.0, (x - start) / (stop - start)))
    return t * t * (3 - 2 * t)


@njit(cache=True, fastmath=True)
def _brow(x, y, z, ax, width, volume):
    """Cover of the brow's hair, 0..1."""
    u = (ax - 0.10) / 0.50
    if z < 0.8 or y < 7.3 or u < -0.05 or u > 1.15:
        return 0.0
    centre = 7.475 + 0.12 * u * (1.25 - u) - 0.02 * u
    spread = 0.042 * width * (1 - 0.55 * min(1.0, max(0.0, u)))
    fine = 0.75 + 0.35 * _noise(volume, x * 26 + y * 9, y * 7, z * 5)
    cover = np.exp(-(((y - centre) / spread) ** 2)) * min(1.0, max(0.0, fine)) * 0.9
    return cover * _ramp(0.0, 0.12, u) * _ramp(1.1, 0.85, u)


@njit(cache=True, fastmath=True)
def _paint_skin(x, y, z, lips, ears, scalp, volume, look, traits, out):
    """One texel of skin, lips, brows, stubble, scalp or clothes."""
    ax = abs(x)
    n1 = _noise(volume, x * 1.1 + 3.3, y * 1.1, z * 1.1)
    n2 = _noise(volume, x * 5 + 1.7, y * 5, z * 5)
    n3 = _noise(volume, x * 17, y * 17, z * 17)
    grain = 1 + 0.025 * n1 + 0.02 * n2 + 0.015 * n3
    red = 0.0  # cheeks and the tip of the nose
    brow = 0.0
    if z > 0.5 and y > 6.5:
        red = np.exp(-((ax - 0.42) ** 2 + (y - 6.95) ** 2) / 0.05)
        red += np.exp(-(x * x + (y - 6.93) ** 2) / 0.02)
        # eye sockets and the line of the lashes
        dx, dy, dz = ax - EYES[0, 0], y - EYES[0, 1], z - EYES[0, 2]
        d = np.sqrt(dx * dx + dy * dy + (dz - 0.055) ** 2)
        grain *= 1 - 0.18 * np.exp(-(((d - 0.19) / 0.07) ** 2))
        d = np.sqrt(dx * dx + dy * dy + dz * dz)
        grain *= 1 - (0.75 if dy > 0 else 0.35) * np.exp(-(((d - 0.150) / 0.014) ** 2))
        brow = _brow(x, y, z, ax, traits[1], volume)
    lip = min(1.0, lips * 1.15) * traits[0]
    lip_grain = 1 + 0.05 * n2
    if lip > 0:
        lip_grain += 0.06 * _noise(volume, x * 30, y * 4, z * 4)
    beard = 0.0
    if traits[2] > 0 and y < 7.0:
        beard = _ramp(6.95, 6.75, y + 0.25 * (1 - _ramp(0.2, 0.7, ax)))
        beard *= _ramp(6.15, 6.4, y) * _ramp(0.1, 0.4, z) * (1 - lips)
        beard *= traits[2] * min(1.0, max(0.0, 0.6 + 0.45 * n3))
    hair = 1 - (1 - brow) * (1 - beard)
    top = scalp * (1 - ears)
    cloth = _ramp(5.36, 5.24, y - 0.5 * _ramp(0.3, 1.0, ax) + 0.25 * _ramp(0.3, 1.2, z))
    for c in range(3):
        v = look[0, c] * grain * (1 + red * (0.05 if c == 0 else -0.055))
        v = v * (1 - lip) + look[1, c] * lip_grain * lip
        v = v * (1 - hair) + look[3, c] * hair
        v = v * (1 - top) + look[2, c] * 0.8 * top
        out[c] = v * (1 - cloth) + look[6, c] * (1 + 0.04 * n3 + 0.05 * n1) * cloth
    out[3] = (traits[3] + 0.18 * lip) * (1 - max(top, hair)) * (1 - cloth)


@njit(cache=True, fastmath=True)
def _paint_eye(x, y, z, eye, volume, look, out):
    """One texel of an eyeball: pupil, iris with a dark ring, white."""
    dx, dy, dz = x - EYES[eye, 0], y - EYES[eye, 1], z - EYES[eye, 2]
    a = np.arccos(dz / np.sqrt(dx * dx + dy * dy + dz * dz))
    ray = _noise(volume, np.arctan2(dy, dx) * 2, a * 0.4, 0.0)
    iris = (1 + 0.2 * ray) * (0.7 + 0.7 * _ramp(0.2, 0.42, a)) * (1 - 0.65 * _ramp(0.38, 0.47, a))
    white = _ramp(0.44, 0.49, a)
    for c in range(3):
        sclera = (0.78 - 0.05 * c) * (1 - 0.35 * _ramp(0.45, 1.1, a))
        v = look[4, c] * iris * (1 - white) + sclera * white
        out[c] = v * _ramp(0.17, 0.21, a)
    out[3] = 0.6


@njit(cache=True, fastmath=True)
def _paint_mouth(x, y, z, part, volume, look, out):
    """One texel of teeth, tongue or the inside of the mouth; all darken towards the throat."""
    if part in (TEETH_UPPER, TEETH_LOWER):
        gap = np.exp(-(((((abs(x) / 0.062) + 0.5) % 1 - 0.5) / 0.07) ** 2))
        tone = (1 - 0.40 * gap) * (1 - 0.85 * _ramp(1.45, 1.15, z))
        tone *= 0.95 if part == TEETH_UPPER else 0.70
        gum = _ramp(6.775, 6.815, y) if part == TEETH_UPPER else _ramp(6.50, 6.46, y)
        for c in range(3):
            pink = 0.62 if c == 0 else 0.30
            out[c] = look[5, c] * tone * (1 - gum) + pink * gum
        out[3] = 0.2
    elif part == TONGUE:
        tone = 1 + 0.08 * _noise(volume, x * 17, y * 17, z * 17)
        tone *= 1 - 0.75 * _ramp(1.45, 1.0, z)
        for c in range(3):
            out[c] = (0.58 if c == 0 else 0.25) * tone
        out[3] = 0.2
    else:
        tone = 1 - 0.9 * _ramp(1.46, 1.2, z)
        for c in range(3):
            out[c] = (0.36 if c == 0 else 0.11) * tone
        out[3] = 0.02


@njit(cache=True, fastmath=True)
def _paint(points, part, lips, ears, scalp, volume, look, traits, out):
    """Colour texels at rest positions (N, 3): out (N, 4) float32 RGB and gloss.

    look (7, 3): skin, lip, hair, brow, iris, teeth, shirt; traits (4,): lip_mix, brow_width,
    stubble, gloss.
    """
    for n in range(len(points)):
        x, y, z = points[n]
        p = part[n]
        if p == SKIN:
            _paint_skin(x, y, z, lips[n], ears[n], scalp[n], volume, look, traits, out[n])
        elif p in (EYE_LEFT, EYE_RIGHT):
            _paint_eye(x, y, z, p - 1, volume, look, out[n])
        else:
            _paint_mouth(x, y, z, p, volume, look, out[n])
        for c in range(3):
            out[n, c] = min(1.0, max(0.004, out[n, c]))


class Painter:
    """Knows what each texel of the head's texture is, so that a look can be painted on it."""

    def __init__(self, head: Head):
        self.size = tuple((head.atlas_size * TEXTURE_SCALE).astype(int).tolist())  # height, width
        n = len(head.uv)
        corners = np.arange(3 * n).reshape(-1, 3)
        uv = head.uv.reshape(1, -1, 2) * np.float32(TEXTURE_SCALE)
        seen, weights = rasterize(uv, _layer(head)[None], corners, *self.size)
        used = seen[0] >= 0
        triangle, weight = seen[0][used], weights[0][used]
        corner = head.triangles[triangle]
        points = np.einsum("nk,nkc->nc", weight, head.rest[corner])
        self._points = np.ascontiguousarray(points, np.float32)
        self._part = head.part[triangle]
        self._lips = (head.region("lips")[corner] * weight).sum(1)
        self._ears = (head.region("ears")[corner] * weight).sum(1)
        self._nearest = _nearest_used(used)
        offset = points - SKULL
        self._polar = np.arccos(offset[:, 1] / np.linalg.norm(offset, axis=1))
        self._azimuth = np.arctan2(offset[:, 0], offset[:, 2])

    def paint(self, look: Look) -> np.ndarray:
        """Texture (H, W, 4) float32 of a look: RGB in 0..1 and gloss."""
        rng = np.random.default_rng([look.seed, 0])
        scalp = ramp(0.05, -0.05, self._polar - hairline(self._azimuth, look.fringe))
        colours = np.array(
            [look.skin, look.lip, look.hair, look.brow, look.iris, look.teeth, look.shirt],
            np.float32,
        )
        traits = np.array([look.lip_mix, look.brow_width, look.stubble, look.gloss], np.float32)
        painted = np.empty((len(self._points), 4), np.float32)
        _paint(
            self._points, self._part, self._lips, self._ears, scalp.astype(np.float32),
            _noise_volume(rng), colours, traits, painted,
        )  # fmt: skip
        return painted[self._nearest]


def _layer(head: Head) -> np.ndarray:
    """Depth (3 T,) of triangle corners on the texture; a lower one is painted.

    The tiles of eyes, teeth and tongue are flat projections, where the outer side, the one that is
    seen, lies on the inner side: for eyes and teeth the front, for the tongue the top.
    """
    corner = head.rest[head.triangles]  # (T, 3, 3)
    depth = np.where((head.part == TONGUE)[:, None], -corner[..., 1], -corner[..., 2])
    depth[np.isin(head.part, (SKIN, MOUTH_INSIDE))] = 0
    return (depth + 20).ravel()


def _noise_volume(rng: np.random.Generator) -> np.ndarray:
    """Noise (48, 48, 48) float32 of unit deviation, with grain of three sizes."""
    volume = np.zeros((NOISE_SIZE,) * 3, np.float32)
    for size, amount in ((48, 1.0), (24, 0.6), (12, 0.4)):
        grain = rng.standard_normal((size,) * 3, np.float32) * np.float32(amount)
        for axis in range(3):
            grain = np.repeat(grain, NOISE_SIZE // size, axis)
        volume += grain
    return volume / volume.std()


def _nearest_used(used: np.ndarray) -> np.ndarray:
    """Number of the nearest used texel (H, W), so that colours bleed over the islands' edges."""
    _, label = cv2.distanceTransformWithLabels(
        (~used).astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    order = np.zeros(label.max() + 1, np.int64)
    order[label[used]] = np.arange(used.sum())
    return order[label]
