"""What must hold of a sound, of the frames and of the crops of a synthetic clip.

Every check raises GenerationError with the reason that stands in the clip's record.
"""

import math

import numpy as np

from visemix.media import FPS, Clip

LEAST_LEVEL_DB = -60  # of full scale: below it a sound is called silent
MIN_MOTION = 4.0  # squared grey levels (see mouth_motion); mouths that speak measured 30 to 250


class GenerationError(ValueError):
    """A synthetic clip cannot be made or used; the message is the reason in its record."""


def check_sound(sound: np.ndarray) -> None:
    """Raise GenerationError('silent sound') if there is nothing in it that could move a mouth."""
    if sound.ndim != 1:
        raise GenerationError(f"the sound has shape {sound.shape} instead of (N,)")
    scaled = sound.astype(np.float64) / (32768 if sound.dtype == np.int16 else 1)
    power = np.mean(scaled**2) if len(scaled) else 0.0
    if not power > 10 ** (LEAST_LEVEL_DB / 10):  # also false for NaN
        raise GenerationError("silent sound")


def check_frames(made: np.ndarray | Clip, n_frames: int) -> np.ndarray:
    """The frames that a generator made, uint8 (n_frames, H, W, 3) at 25 fps.

    Raises GenerationError for anything else.
    """
    frames = made.frames if isinstance(made, Clip) else made
    if not isinstance(frames, np.ndarray):
        raise GenerationError(f"the generator gave {type(frames).__name__} instead of an array")
    if np.issubdtype(frames.dtype, np.floating) and not np.isfinite(frames).all():
        raise GenerationError("frames hold values that are not finite")
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise GenerationError(f"frames are {frames.dtype} {frames.shape}, not uint8 (T, H, W, 3)")
    if isinstance(made, Clip) and abs(made.fps - FPS) > 0.01:
        raise GenerationError(f"{made.fps:g} frames a second instead of {FPS}")
    if len(frames) != n_frames:
        raise GenerationError(f"{len(frames)} frames instead of {n_frames}")
    return frames


def check_crops(crops: np.ndarray, quality: dict, n_frames: int, min_face_share: float) -> None:
    """Raise GenerationError if the mouth was missed in too many frames, or does not move.

    The sound is known not to be silent: generators reject silence themselves.
    """
    if crops.dtype != np.uint8 or len(crops) != n_frames:
        raise GenerationError(f"crops are {crops.dtype} {crops.shape}, not uint8 ({n_frames}, ...)")
    if not all(math.isfinite(value) for value in quality.values()):
        raise GenerationError(f"the crops' quality is not finite: {quality}")
    found = 1 - quality["interpolated_frames"] / n_frames
    if found < min_face_share:
        raise GenerationError(f"the mouth was found in {found:.0%} of the frames only")
    if (motion := mouth_motion(crops)) < MIN_MOTION:
        raise GenerationError(f"the mouth is frozen (variance over time {motion:.2f})")


def mouth_motion(crops: np.ndarray) -> float:
    """Mean variance over time of the middle half of crops (T, H, W), in squared grey levels."""
    height, width = crops.shape[1:]
    middle = crops[:, height // 4 : height * 3 // 4, width // 4 : width * 3 // 4]
    return float(middle.astype(np.float32).var(0).mean())
