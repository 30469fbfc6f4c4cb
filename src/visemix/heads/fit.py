"""Fit the morphable head to pictures from the five points of a face detector.

The camera is scaled orthographic: a point X of the model (decimetres) is seen at
x = scale (R X)_x + shift_x and y = shift_y - scale (R X)_y, in pixels.
"""

from dataclasses import dataclass

import numpy as np

from visemix.heads.model import FIVE_POINTS, Head, rotation

N_COMPONENTS = 8  # five points carry no more of an identity
EYE_DISTANCE = 50.0  # px: a face is scaled to it for the fit, so that the priors mean the same
IDENTITY_PRIOR = 9.0  # squared pixels of misfit that one standard deviation of identity must save
# px of misfit per radian: five points do not distinguish a turned head from an asymmetric one, so
# yaw, and even more pitch, are kept small. Chosen on rendered heads: by RetinaFace's points, 120
# near-frontal ones (pitch sd 2 degrees) are fitted with a mean absolute error of 1.8 degrees of yaw
# and of pitch; heads turned further (exact points, 1 px of noise) with all of their yaw, but only
# 0.57 of their pitch
ANGLE_PRIOR = np.array([5.0, 18.0])
ROUNDS = 8  # of fitting cameras and identity in turns
_STEPS = np.array([1e-4] * 4 + [1e-2] * 2)  # of the numeric derivative


@dataclass(frozen=True)
class Fit:
    """A head fitted to one picture."""

    neutral: np.ndarray  # (V, 3) float32 vertices without expression
    angles: np.ndarray  # (3,) yaw, pitch, roll in radians, signs as in heads.model
    scale: float  # px per decimetre
    shift: np.ndarray  # (2,) px

    @property
    def rotation(self) -> np.ndarray:
        """(3, 3) from model space to the camera's."""
        return rotation(*self.angles)[0]

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of model points (..., 3)."""
        return self.directions(vertices)[..., :2] + self.shift

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """Model vectors (..., 3) as x, y and towards the camera, in pixels of the picture."""
        return vectors @ (self.scale * self.rotation.T * (1, -1, 1))


def fit_five_points(head: Head, points) -> Fit:
    """Fit pose and eight identity components to five points (5, 2) px of one face.

    Raises ValueError as `fit_clip` does.
    """
    points = np.asarray(points, float)
    if points.shape != (5, 2):
        raise ValueError(f"five finite points (5, 2) are needed, not {points!r}")
    return fit_clip(head, points[None])[0]


def fit_clip(head: Head, landmarks) -> list[Fit]:
    """Fit one identity to all frames of a clip and a pose to each: landmarks (T, 5, 2) px.

    Points in RetinaFace's order: eye, eye, nose, mouth corner, mouth corner, the image's left one
    first. Gauss-Newton over log scale, yaw, pitch, roll and shift, in turns with a ridge step for
    the identity, to which the frames of a clip count as one picture: their errors are alike.
    Raises ValueError if a point is not finite or the eyes coincide.
    """
    target = np.asarray(landmarks, float) * (1, -1)
    if target.shape[1:] != (5, 2) or not np.isfinite(target).all():
        raise ValueError(f"five finite points (5, 2) a frame are needed, not {landmarks!r}")
    mean = head.mean[FIVE_POINTS].astype(float)
    basis = head.pcs[:N_COMPONENTS, FIVE_POINTS].astype(float)
    widths = np.linalg.norm(target[:, 0] - target[:, 1], axis=1)
    if (width := widths.min()) < 1:
        raise ValueError(f"the eyes are {width:.2f} px apart: not a face that can be fitted")
    unit = np.median(widths) / EYE_DISTANCE
    target, widths = target / unit, widths / unit
    scales = widths / np.linalg.norm(mean[0] - mean[1])
    cameras = np.zeros((len(target), 6))
    cameras[:, 0] = np.log(scales)
    cameras[:, 4:] = (target - scales[:, None, None] * mean[:, :2]).mean(1)
    identity = np.zeros(N_COMPONENTS)
    for _ in range(ROUNDS):
        cameras = _fit_cameras(cameras, mean + np.tensordot(identity, basis, 1), target)
        identity = _fit_identity(cameras, mean, basis, target)
    coefficients = np.zeros(head.n_pcs)
    coefficients[:N_COMPONENTS] = identity
    neutral = head.shape(coefficients)
    return [
        Fit(neutral, q[1:4], float(unit * np.exp(q[0])), unit * q[4:] * (1, -1)) for q in cameras
    ]


def _fit_cameras(cameras, points, target) -> np.ndarray:
    """Three Gauss-Newton steps of (log scale, yaw, pitch, roll, shift) (T, 6) for points (5, 3)."""

    def residual(q):
        seen = points @ _views(q) + q[:, None, 4:]
        return np.concatenate([(seen - target).reshape(len(q), -1), q[:, 1:3] * ANGLE_PRIOR], 1)

    for _ in range(3):
        now = residual(cameras)
        moved = [(residual(cameras + d) - now) / d.sum() for d in np.diag(_STEPS)]
        jacobian = np.stack(moved, 2)
        normal = jacobian.transpose(0, 2, 1) @ jacobian + 1e-6 * np.eye(6)
        gradient = jacobian.transpose(0, 2, 1) @ now[..., None]
        cameras = cameras - np.linalg.solve(normal, gradient)[..., 0]
    return cameras


def _fit_identity(cameras, mean, basis, target) -> np.ndarray:
    """Ridge solution (K,) of the identity for given cameras (T, 6)."""
    views = _views(cameras)
    jacobian = np.einsum("kpi,tij->ktpj", basis, views).reshape(len(basis), -1).T
    residual = (target - mean @ views - cameras[:, None, 4:]).ravel()
    normal = jacobian.T @ jacobian / len(cameras) + IDENTITY_PRIOR * np.eye(len(basis))
    return np.linalg.solve(normal, jacobian.T @ residual / len(cameras))


def _views(cameras) -> np.ndarray:
    """(T, 3, 2): model points @ view = picture, y up, without the shift."""
    return np.exp(cameras[:, 0])[:, None, None] * rotation(*cameras[:, 1:4].T)[:, :2].transpose(
        0, 2, 1
    )
