"""Fit the morphable head to a picture from the five points of a face detector.

The camera is scaled orthographic: a point X of the model (decimetres) is seen at
x = scale (R X)_x + shift_x and y = shift_y - scale (R X)_y, in pixels.
"""

from dataclasses import dataclass

import numpy as np

from visemix.heads.model import FIVE_POINTS, Head, rotation

N_COMPONENTS = 8  # five points carry no more of an identity
IDENTITY_PRIOR = 9.0  # squared pixels of misfit that one standard deviation of identity must save
# px of misfit per radian: five points cannot tell a turned head from an asymmetric one, so that
# yaw, and even more pitch, are kept small
ANGLE_PRIOR = np.array([3.0, 8.0])
_STEPS = np.diag([1e-4] * 4 + [1e-2] * 2)  # of the numeric derivative


@dataclass(frozen=True)
class Fit:
    """A head fitted to one picture."""

    neutral: np.ndarray  # (V, 3) float32 vertices without expression
    rotation: np.ndarray  # (3, 3)
    scale: float  # px per decimetre
    shift: np.ndarray  # (2,) px

    def project(self, vertices: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of model points (..., 3)."""
        return self.directions(vertices)[..., :2] + self.shift

    def directions(self, vectors: np.ndarray) -> np.ndarray:
        """Model vectors (..., 3) as x, y and towards the camera, in pixels of the picture."""
        return vectors @ (self.scale * self.rotation.T * (1, -1, 1))


def fit_five_points(head: Head, points, rounds: int = 8) -> Fit:
    """Fit pose and eight identity components to five points (5, 2) px of one face.

    Points in RetinaFace's order: eye, eye, nose, mouth corner, mouth corner, the image's left one
    first. Gauss-Newton over log scale, yaw, pitch, roll and shift, in turns with a ridge step for
    the identity. Raises ValueError if a point is not finite or the eyes coincide.
    """
    target = np.asarray(points, float) * (1, -1)
    if target.shape != (5, 2) or not np.isfinite(target).all():
        raise ValueError(f"five finite points (5, 2) are needed, not {points!r}")
    mean = head.mean[FIVE_POINTS].astype(float)
    basis = head.pcs[:N_COMPONENTS, FIVE_POINTS].astype(float)
    width = np.linalg.norm(target[0] - target[1])
    if width < 1:
        raise ValueError(f"the eyes are {width:.2f} px apart: not a face that can be fitted")
    scale = width / np.linalg.norm(mean[0] - mean[1])
    camera = np.array([np.log(scale), 0, 0, 0, *(target - scale * mean[:, :2]).mean(0)])
    identity = np.zeros(N_COMPONENTS)
    for _ in range(rounds):
        camera = _fit_camera(camera, mean + np.tensordot(identity, basis, 1), target)
        identity = _fit_identity(camera, mean, basis, target)
    coefficients = np.zeros(head.n_pcs)
    coefficients[:N_COMPONENTS] = identity
    return Fit(
        neutral=head.shape(coefficients),
        rotation=rotation(*camera[1:4])[0],
        scale=float(np.exp(camera[0])),
        shift=camera[4:] * (1, -1),
    )


def _fit_camera(camera, points, target, steps: int = 3) -> np.ndarray:
    """Gauss-Newton steps of (log scale, yaw, pitch, roll, shift) for points (5, 3)."""

    def residual(q):
        seen = np.exp(q[0]) * points @ rotation(*q[1:4])[0][:2].T + q[4:]
        return np.concatenate([(seen - target).ravel(), q[1:3] * ANGLE_PRIOR])

    for _ in range(steps):
        now = residual(camera)
        jacobian = np.stack([(residual(camera + d) - now) / d.sum() for d in _STEPS], 1)
        normal = jacobian.T @ jacobian + 1e-6 * np.eye(6)
        camera = camera - np.linalg.solve(normal, jacobian.T @ now)
    return camera


def _fit_identity(camera, mean, basis, target) -> np.ndarray:
    """Ridge solution (K,) of the identity for a given camera."""
    view = np.exp(camera[0]) * rotation(*camera[1:4])[0][:2].T
    jacobian = (basis @ view).reshape(len(basis), -1).T
    residual = (target - mean @ view - camera[4:]).ravel()
    normal = jacobian.T @ jacobian + IDENTITY_PRIOR * np.eye(len(basis))
    return np.linalg.solve(normal, jacobian.T @ residual)
