"""What published programs need before and after: pictures, sounds and frames made to fit."""

from pathlib import Path

import cv2
import numpy as np
from scipy.io import wavfile

from visemix.faces.pictures import FACE_HEIGHT, find_face, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.generators.base import SAMPLES_PER_FRAME, GenerationError
from visemix.media import FPS, SAMPLE_RATE, Video, write_clip


def square_picture(path: Path, side: int, detector: RetinaFace) -> np.ndarray:
    """The picture (side, side, 3) uint8 RGB around its largest face.

    A face that is missing is found out here, by the project's own detector: some programs draw on
    regardless. Raises PictureError for a picture that cannot be read or shows no usable face.
    """
    image = read_picture(path)
    x0, y0, x1, y1 = find_face(image, detector).box
    height, width = image.shape[:2]
    size = int(np.clip((y1 - y0) / FACE_HEIGHT, 2, min(height, width)))
    left = int(np.clip((x0 + x1 - size) / 2, 0, width - size))
    top = int(np.clip((y0 + y1 - size) / 2, 0, height - size))
    part = image[top : top + size, left : left + size]
    way = cv2.INTER_AREA if side < size else cv2.INTER_CUBIC
    return cv2.resize(part, (side, side), interpolation=way)


def padded_sound(sound: np.ndarray, n_frames: int, seed: int) -> np.ndarray:
    """Sound (n_frames * 640,) int16: cut, or padded with silence, and dithered.

    The dither is one step of the 16 bits (-90 dB): stretches of exact zeros turn into NaN or an
    error in more than one program. The same seed gives the same sound.
    """
    length = n_frames * SAMPLES_PER_FRAME
    sound = np.pad(sound[:length], (0, max(0, length - len(sound)))).astype(np.int32)
    noise = np.random.default_rng(seed).integers(-1, 2, length)
    return np.clip(sound + noise, -32768, 32767).astype(np.int16)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8 RGB as PNG."""
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f"{path}: the picture cannot be written; is the disk full?")


def write_sound(path: Path, sound: np.ndarray) -> None:
    """Write sound (N,) int16 at 16 kHz as WAV."""
    wavfile.write(path, SAMPLE_RATE, sound)


def write_still_video(path: Path, picture: np.ndarray, sound: np.ndarray, n_frames: int) -> None:
    """Write a video at 25 fps that shows the picture only: for programs that want to be driven."""
    write_clip(path, np.repeat(picture[None], n_frames, 0), sound)


def at_25_fps(video: Video, n_frames: int) -> np.ndarray:
    """Frames (n_frames, H, W, 3) uint8 RGB from the start of a video of any frame rate.

    Each is the frame shown at its middle; nothing is blended, which would soften mouths. Raises
    GenerationError where the video is too short.
    """
    which = np.floor((np.arange(n_frames) + 0.5) * video.fps / FPS + 1e-6).astype(int)
    if not which[-1] < len(video):
        raise GenerationError(
            f"the output is too short: {len(video)} frames at {video.fps:g} fps, "
            f"{n_frames} at {FPS} fps need {which[-1] + 1}"
        )
    return np.stack([video[i] for i in which])


def last_panel(frames: np.ndarray, panels: int, side: int, border: int = 2) -> np.ndarray:
    """The rightmost square of a strip of `panels` squares (T, ..., ..., 3) with borders between.

    The layout of torchvision's make_grid. Raises GenerationError for frames of another size.
    """
    height, width = frames.shape[1:3]
    wanted = (side + 2 * border, panels * (side + border) + border)
    if (height, width) != wanted:
        raise GenerationError(
            f"frames are {width}x{height}, not a strip of {panels} panels of {side} pixels "
            f"({wanted[1]}x{wanted[0]})"
        )
    left = width - border - side
    return np.ascontiguousarray(frames[:, border : border + side, left : left + side])
