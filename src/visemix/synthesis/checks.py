"""What must hold of the frames and of the crops of a synthetic clip.

Every check raises GenerationError with the reason that stands in the clip's record.
"""

import math

import cv2
import numpy as np

from visemix.generators.base import GenerationError, mouth_motion
from visemix.media import FPS, SAMPLE_RATE, Clip

REPEATED_FRAMES, LEAST_PERIOD = 8, 5  # a run this long that comes again, this much later
REPEAT_RATIO = 0.3  # distance of two runs beside the movement within a run; see repeats
LEAST_SPREAD = 0.5  # grey levels (rms): runs that move less are still pictures
STUCK_FRAMES = 8  # equal frames in a row while somebody speaks
SPEECH_RANGE_DB = 30  # below the loudest frame: what is quieter is no speech
MIN_MOTION = 4.0  # squared grey levels, see mouth_motion; mouths that speak measured 30 to 250


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


def check_repeats(frames: np.ndarray, crops: np.ndarray, top: int) -> None:
    """Raise GenerationError if the clip is a shorter one that was looped to its length.

    frames (T, H, W, 3), crops (T, 96, 96) uint8; `top` is the row of the frames above which no
    mouth moves. Looked for are runs that come again in the mouth (a word does not say itself twice)
    and, forwards or backwards, above it: programs that loop a short video draw a new mouth into
    each frame of it. A head that rests gives nothing to find there.
    """
    middle = crops[:, crops.shape[1] // 6 : -crops.shape[1] // 6]
    above = frames[:, : max(top, 1)]
    for what, pictures, backwards in (("mouth", middle, False), ("head", above, True)):
        if (ratio := repeats(pictures, backwards)) < REPEAT_RATIO:
            raise GenerationError(
                f"frames are repeated: {REPEATED_FRAMES} of them come again in the {what} "
                f"({ratio:.2f} of the movement)"
            )


def repeats(pictures: np.ndarray, backwards: bool) -> float:
    """How closely the best of all runs of 8 pictures (T, H, W[, 3]) uint8 comes again; inf: none.

    The largest distance (rms, of pictures averaged down to 24x24) between pictures of the run and
    of its repetition, divided by the run's own spread over time. `backwards` looks at runs in
    reverse order, too. Least values of clips as they are: above the mouth 1.02 in 32 pieces of
    GRID and 0.40 in 100 clips of the embedded corpus; in the mouth 1.03 in its 300 training clips
    and 1.05 in 246 of the portrait generator. Above the mouth 29 of those clips, looped after 8, 12
    or 16 frames, gave less than 0.3 in 76 to 97% as they were (in the others the head rests) and in
    41 to 48% after lossy encoding, which hides small movements.
    """
    small = np.stack([_signature(picture) for picture in pictures])
    squared = (small**2).sum(1)
    apart = squared[:, None] + squared - 2 * small @ small.T
    apart = np.sqrt(np.maximum(apart, 0) / small.shape[1])
    count, run = len(small) - REPEATED_FRAMES + 1, np.arange(REPEATED_FRAMES)
    best = math.inf
    for first in range(count):
        own = small[first : first + REPEATED_FRAMES]
        spread = float(np.sqrt(own.var(0).mean()))
        if spread < LEAST_SPREAD:
            continue
        again = [later + run for later in range(first + LEAST_PERIOD, count)]
        if backwards:
            again += [later + run[::-1] for later in range(first + REPEATED_FRAMES - 1, count)]
        if again:
            best = min(best, float(apart[first + run, np.array(again)].max(1).min()) / spread)
    return best


def check_stuck(crops: np.ndarray, sound: np.ndarray) -> None:
    """Raise GenerationError if the picture stands still while the sound speaks.

    crops (T, H, W) uint8, sound (N,) int16 from the first frame on. A mouth that rests in silence
    passes. Not one frame of 300 training clips of the embedded corpus equals the one before it, and
    one of 246 clips of the portrait generator, whose mouth stops at every viseme.
    """
    level = frame_levels(sound, len(crops))
    spoken = level > level.max() - SPEECH_RANGE_DB
    longest = run = 0
    for frame in range(1, len(crops)):
        same = spoken[frame] and (crops[frame] == crops[frame - 1]).all()
        run = run + 1 if same else 0
        longest = max(longest, run)
    if longest >= STUCK_FRAMES:
        raise GenerationError(f"the picture stands still for {longest} frames of speech")


def frame_levels(sound: np.ndarray, n_frames: int) -> np.ndarray:
    """Level (n_frames,) in dB of each frame's 40 ms of sound (N,) int16 at 16 kHz."""
    length = n_frames * SAMPLE_RATE // FPS
    cut = np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.float64)
    return 10 * np.log10((cut.reshape(n_frames, -1) ** 2).mean(1) + 10)


def _signature(picture: np.ndarray) -> np.ndarray:
    """A picture averaged down to 24x24 grey levels, flat float32."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    small = cv2.resize(grey, (24, 24), interpolation=cv2.INTER_AREA)
    return small.ravel().astype(np.float32)
