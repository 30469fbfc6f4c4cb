"""The mouth's place, size and turn in the crop, when the whole video is turned, scaled or shifted.

Turns up to 20 degrees, scales of 0.75 to 1.5, shifts up to 15% of the frame, of all three at once,
as far as what the crop shows stays in the frame. The frame's edge is replicated outwards.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from visemix.faces.alignment import CROP_SIZE, align
from visemix.faces.crops import crop_at, crop_clip
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip

DATA = Path(__file__).parents[1] / "data"
EYE_TO_MOUTH = 48.0  # crop px, for which the limits below were measured
CLIPS = ["talking_head", "brbk7n", "sbwe5n"]  # the first is ours, the others are GRID's


@pytest.fixture(scope="module")
def detector():
    return RetinaFace()


@pytest.fixture(scope="module", params=CLIPS)
def clip(request, detector):
    """Frames (29, H, W, 3), and the mouth crops that crop_clip makes of them."""
    path = DATA / "talking_head.mp4"
    if request.param != "talking_head":
        folder = request.getfixturevalue("real_clips")  # skips where there are none
        path = folder / "grid" / f"{request.param}.mpg"
    frames = read_clip(path).frames[:29]
    return frames, crop_clip(frames, detector, eye_to_mouth=EYE_TO_MOUTH)


def similarity(shape, angle, scale, dx, dy):
    """Turn (degrees), scale, and shift (by parts of the frame) about its middle: (3, 3)."""
    height, width = shape[1:3]
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:2, 2] += dx * width, dy * height
    return matrix


def mapped(matrix, points):
    """Points (..., 2) px, first pixel's centre at (0.5, 0.5), under a matrix (3, 3)."""
    return points @ matrix[:2, :2].T + matrix[:2, 2]


def moved(frames, matrix):
    """The frames under a matrix (3, 3), at their own size."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # cv2's first centre is at (0, 0)
    for_cv2 = (np.linalg.inv(half) @ matrix @ half)[:2]
    size = frames.shape[2], frames.shape[1]
    warped = [cv2.warpAffine(f, for_cv2, size, borderMode=cv2.BORDER_REPLICATE) for f in frames]
    return np.stack(warped)


def stays_inside(shape, landmarks, matrix):
    """Whether all that the crops show is still in the frame."""
    corners = np.array([[0, 0, 1], [CROP_SIZE, 0, 1], [0, CROP_SIZE, 1], [CROP_SIZE] * 2 + [1]])
    seen = np.linalg.inv(_square(align(landmarks, CROP_SIZE, EYE_TO_MOUTH))) @ corners.T
    places = mapped(matrix, seen[:, :2].swapaxes(1, 2))
    return bool(((places > 0) & (places < (shape[2], shape[1]))).all())


def _square(alignment):
    last = np.broadcast_to([[[0.0, 0, 1]]], (len(alignment.matrices), 1, 3))
    return np.concatenate([alignment.matrices, last], axis=1)


def between_crops(landmarks, moved_landmarks, matrix):
    """The map from each crop of a clip to that of the moved clip: (T, 3, 3), at best the identity.

    The inverse of the one alignment, the clip's movement, and the other alignment.
    """
    back = np.linalg.inv(_square(align(landmarks, CROP_SIZE, EYE_TO_MOUTH)))
    return _square(align(moved_landmarks, CROP_SIZE, EYE_TO_MOUTH)) @ matrix @ back


def errors(between):
    """Medians over a clip: how far the crop's middle moves (px), size ratio, turn (degrees)."""
    middle = np.array([CROP_SIZE / 2, CROP_SIZE / 2, 1])
    shift = np.linalg.norm((between @ middle - middle)[:, :2], axis=1)
    factor = between[:, 0, 0] + 1j * between[:, 1, 0]
    roll = np.degrees(np.angle(factor))
    return float(np.median(shift)), float(np.median(np.abs(factor))), float(np.median(roll))


MOVEMENT = {
    "angle": st.floats(-20, 20),
    "scale": st.floats(0.75, 1.5),
    "dx": st.floats(-0.15, 0.15),
    "dy": st.floats(-0.15, 0.15),
}


@settings(max_examples=10, deadline=None, derandomize=True)
@given(**MOVEMENT)
def test_known_landmarks_give_the_same_crops(clip, angle, scale, dx, dy):
    """But for resampling: at most 0.8 grey levels on average, over 450 movements of nine clips."""
    frames, mouth = clip
    frames, landmarks = frames[::7], mouth.landmarks[::7]
    matrix = similarity(frames.shape, angle, scale, dx, dy)
    assume(stays_inside(frames.shape, landmarks, matrix))
    there = mapped(matrix, landmarks)
    assert np.abs(between_crops(landmarks, there, matrix) - np.eye(3)).max() < 1e-6
    expected = crop_at(frames, landmarks, EYE_TO_MOUTH).crops.astype(int)
    pictures = moved(frames, matrix)
    found = crop_at(pictures, there, EYE_TO_MOUTH)
    assert np.abs(found.crops - expected).mean() < 1
    # That is a fine measure: crops half a px to the side differ by more.
    aside = crop_at(pictures, there + np.array([0.5, 0]) / found.quality["scale"], EYE_TO_MOUTH)
    assert np.abs(aside.crops - expected).mean() > 1.5


def test_crops_are_stable_with_the_detector_in_the_loop(clip, detector):
    """The detector does not find quite the same points again; crop_clip states by how much."""
    frames, mouth = clip
    rng, found = np.random.default_rng(7), []
    while len(found) < 7:
        angle, scale = rng.uniform(-20, 20), rng.uniform(0.75, 1.5)
        matrix = similarity(frames.shape, angle, scale, *rng.uniform(-0.15, 0.15, 2))
        if stays_inside(frames.shape, mouth.landmarks, matrix):
            again = crop_clip(moved(frames, matrix), detector, eye_to_mouth=EYE_TO_MOUTH)
            found.append(errors(between_crops(mouth.landmarks, again.landmarks, matrix)))
    shift, size, roll = np.abs(found).T
    size = np.abs(np.log(size))
    # Measured over 450 movements of nine clips: medians 1.2 px, 1.2%, 1.0 degrees; 95% within
    # 2.8 px, 3.6%, 2.9 degrees; at most 5.4 px, 7.1%, 5.4 degrees.
    assert np.median(shift) < 2 and np.median(size) < 0.025 and np.median(roll) < 2
    assert shift.max() < 6 and size.max() < 0.08 and roll.max() < 6
