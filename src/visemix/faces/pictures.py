"""Pictures of people: read, the face found, cut down to it or scaled as a frame of LRW."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from visemix.faces.alignment import FIXED_CROP, FIXED_EYE_TO_MOUTH, FIXED_FRAME
from visemix.faces.detection import Face
from visemix.faces.retinaface import RetinaFace

PICTURE_SIZE = 256  # px: side of the frames made from a larger picture
LARGE = 384  # px: larger pictures are cut down to the face
FACE_HEIGHT = 0.48  # of the frame's height, of a picture that is cut down
MIN_SCORE = 0.5  # of the face detector
MIN_EYE_DISTANCE = 20  # px


class PictureError(ValueError):
    """A picture cannot be used as a portrait; the message is the reason."""


def read_picture(path: Path) -> np.ndarray:
    """A picture (H, W, 3) uint8 RGB. Raises PictureError if it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PictureError("the picture cannot be read")
    return np.ascontiguousarray(image[..., ::-1])


def find_face(image: np.ndarray, detector: RetinaFace) -> Face:
    """The largest face of a picture. Raises PictureError if there is none to work with."""
    faces = detector.detect(image[None], MIN_SCORE, 640)[0]
    if not faces:
        raise PictureError("no face found in the picture")
    face = max(faces, key=lambda f: float(np.prod(f.box[2:] - f.box[:2])))
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    if eyes < MIN_EYE_DISTANCE:
        raise PictureError(
            f"the face is too small: eyes {eyes:.0f} px apart, need {MIN_EYE_DISTANCE}"
        )
    return face


def lrw_frame(image: np.ndarray, detector: RetinaFace) -> np.ndarray:
    """The picture as a frame of LRW, (256, 256, 3) uint8 RGB, as the fixed crop needs it.

    A picture of that size is taken for such a frame and comes back as it is, wherever its face is,
    as every frame of a corpus does. Another is scaled and shifted so that its mouth comes to the
    middle of the fixed crop with the usual distance from the eyes, and is not turned; its edge is
    replicated outwards. Raises PictureError where there is no face to work with.
    """
    if image.shape[:2] == FIXED_FRAME:
        return image
    points = find_face(image, detector).landmarks
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    scale = FIXED_EYE_TO_MOUTH / max(float(np.linalg.norm(mouth - eyes)), 1.0)
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, size, interpolation=way)
    rows, columns = FIXED_CROP
    middle = np.array([columns.start + columns.stop, rows.start + rows.stop]) / 2
    shift = middle - mouth * (size[0] / width, size[1] / height)
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return cv2.warpAffine(scaled, matrix, FIXED_FRAME[::-1], borderMode=cv2.BORDER_REPLICATE)


@lru_cache(maxsize=1)
def face_detector() -> RetinaFace:
    """The detector of this process for pictures, of one thread."""
    return RetinaFace(threads=1)


def frame_face(image: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """The picture as frames show it, and the face's five points (5, 2) px in it.

    A large picture is cut to a square around the face and scaled to 256 px.
    """
    height, width = image.shape[:2]
    if max(height, width) <= LARGE:
        return image, face.landmarks
    x0, y0, x1, y1 = face.box
    side = int(np.clip((y1 - y0) / FACE_HEIGHT, 2, min(height, width)))
    left = int(np.clip((x0 + x1 - side) / 2, 0, width - side))
    top = int(np.clip((y0 + y1 - side) / 2, 0, height - side))
    part = image[top : top + side, left : left + side]
    scale = PICTURE_SIZE / side
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    framed = cv2.resize(part, (PICTURE_SIZE, PICTURE_SIZE), interpolation=way)
    return framed, (face.landmarks - (left, top)) * scale
