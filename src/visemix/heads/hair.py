"""Hair as a dome over the scalp: its shape follows the head, its strands are a texture."""

import cv2
import numpy as np
from scipy.spatial import cKDTree

from visemix.heads.appearance import Look
from visemix.heads.model import Head, ramp

COLUMNS, ROWS = 96, 28  # columns run round the head, rows from the crown to the edge
STRANDS = (48, 384)  # texels of the strand texture: crown to edge, round the head
SKULL = np.array([0.0, 7.45, 0.25])  # middle of the skull in MakeHuman's coordinates
NEIGHBOURS = 6  # scalp vertices that carry one hair vertex


def hairline(azimuth, fringe: float) -> np.ndarray:
    """Angle from the top of the skull to the hair's edge, by azimuth (0: front), in radians."""
    knots = np.radians([0, 25, 45, 62, 78, 100, 130, 180])
    high = np.radians([58, 58, 62, 74, 86, 98, 122, 130])
    low = np.radians([76, 77, 79, 84, 90, 98, 122, 130])
    return np.interp(np.abs(azimuth), knots, high + fringe * (low - high))


class Hair:
    """The dome's topology and the scalp it stands on, for one head model."""

    def __init__(self, head: Head):
        column, row = np.meshgrid(np.arange(COLUMNS + 1), np.arange(ROWS), indexing="ij")
        corner = (column * ROWS + row)[:-1, :-1].ravel()
        quad = np.stack([corner, corner + ROWS, corner + ROWS + 1, corner + 1], 1)
        self.faces = np.concatenate([quad[:, [0, 2, 1]], quad[:, [0, 3, 2]]])  # (F, 3)
        u = column.ravel() / COLUMNS * (STRANDS[1] - 2) + 1
        v = row.ravel() / (ROWS - 1) * (STRANDS[0] - 2) + 1
        self.uv = np.stack([u, v], -1)[self.faces].astype(np.float32)  # (F, 3, 2) strand texels
        self.n_vertices = column.size
        self._azimuth = np.linspace(-np.pi, np.pi, COLUMNS + 1)
        self._along = np.linspace(0, 1, ROWS)
        skin = head.part_vertices("skin")
        scalp = skin[(head.rest[skin, 1] > 6.2) & (head.region("ears")[skin] < 0.3)][::2]
        offset = head.rest[scalp] - SKULL
        self._scalp = scalp
        self._radius = np.linalg.norm(offset, axis=1)
        self._tree = cKDTree(offset / self._radius[:, None])

    def shape(self, look: Look) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hair over the base mesh: vertices (N, 3), carrying vertices (N, 6), their weights."""
        rng = np.random.default_rng([look.seed, 1])
        edge = hairline(self._azimuth, look.fringe)[:, None]
        wave = cv2.GaussianBlur(rng.normal(size=(len(edge), 1)), (1, 15), 0)
        edge = edge + np.radians(3.5) * wave
        edge[-1] = edge[0]  # first and last column meet at the back
        back = ramp(np.radians(68), np.radians(95), np.abs(self._azimuth))[:, None]
        arc = 0.7 if look.hair_length else 1.0  # part of a column that lies on the scalp
        along = self._along[None]
        polar = np.minimum(along / arc, 1) * edge
        hanging = np.clip((along - arc) / (1 - arc + 1e-9), 0, 1)
        down = (look.hair_length * 1.9 * back * hanging).ravel()  # decimetres
        azimuth = np.broadcast_to(self._azimuth[:, None], polar.shape)
        direction = np.stack(
            [np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1
        ).reshape(-1, 3)
        gap, carrier = self._tree.query(direction, k=NEIGHBOURS)
        weight = np.exp(-200 * gap**2) + 1e-9
        weight /= weight.sum(1, keepdims=True)
        radius = (weight * self._radius[carrier]).sum(1).reshape(polar.shape)
        radius = cv2.blur(np.pad(radius, ((3, 3), (0, 0)), "wrap"), (3, 7))[3:-3].ravel()
        lift = self._lift(look, back, polar.shape)
        vertices = SKULL + direction * (radius + lift)[:, None]
        vertices[:, 1] -= down
        vertices[:, 0] *= 1 + 0.10 * np.minimum(down / 0.1, 1)
        vertices[:, 2] -= 0.10 * down
        return vertices, self._scalp[carrier], weight

    def _lift(self, look: Look, back, shape) -> np.ndarray:
        """Height (N,) of the hair over the scalp in decimetres; it thins out at the edge."""
        along = self._along[None]
        if look.hair_length:
            thick = np.maximum(ramp(1.0, 0.45, along), back)
        else:
            thick = ramp(1.0, 0.55, along)
        lift = look.hair_volume * (0.35 + 0.65 * thick) + 0.015
        return np.broadcast_to(lift, shape).ravel()


def strand_texture(look: Look) -> np.ndarray:
    """Strands (48, 384, 4) float32: RGB and gloss, from the crown (top) to the edge."""
    rng = np.random.default_rng([look.seed, 2])
    height, width = STRANDS
    strands = np.zeros(STRANDS, np.float32)
    for fineness in (0.5, 0.9, 2.0):
        noise = rng.standard_normal(STRANDS, np.float32)
        blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=fineness, sigmaY=15)
        strands += blurred * (fineness / blurred.std())
    strands /= strands.std()
    along = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    tone = (1 + 0.28 * strands) * (0.8 + 0.2 * ramp(0, 0.3, along))
    texture = np.empty((height, width, 4), np.float32)
    texture[..., :3] = look.hair * np.clip(tone, 0.25, 2)[..., None]
    texture[..., 3] = np.clip(0.10 + 0.08 * strands, 0, 0.3) * ramp(1, 0.6, along)
    return texture
