"""Generators that draw 96x96 grey mouth crops: a picture's crop, and crops put into the picture.

What such a generator draws goes back into the picture that it came from, so that its frames meet
the same face detector, crops and checks as those of every other generator. Only the difference to
the picture's own crop is added, so that an unchanged crop leaves the picture exactly as it is.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from visemix.faces.alignment import CROP_SIZE, FIXED_CROP, align, cut, cut_fixed
from visemix.faces.pictures import find_face, frame_face, lrw_frame, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.generators.base import Generator, Utterance
from visemix.run.gpus import prepare_inference

LONGEST_SIDE = 512  # px: pictures are enlarged up to this size where crops are finer than they are
FEATHER = 8  # crop px over which the edge of the square fades into the picture
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luminance of RGB, ITU-R BT.601


@dataclass(frozen=True)
class CropPortrait:
    """A picture and its mouth crop."""

    image: np.ndarray  # (H, W, 3) uint8 RGB, as the frames show it
    crop: np.ndarray  # (96, 96) uint8, grey
    matrix: np.ndarray  # (2, 3) float64 from image to crop, px; first centres are at (0.5, 0.5)


class CropGenerator(Generator):
    """A trained generator that draws mouth crops; a subclass loads its network, and `draw`s."""

    trained = True

    def __init__(self, device: str, eye_to_mouth: float, alignment: str):
        """eye_to_mouth, alignment: of the crops that it learnt from (see prepare_crop)."""
        prepare_inference(device)
        self.eye_to_mouth, self.alignment = eye_to_mouth, alignment
        self.detector = RetinaFace(threads=1)

    @classmethod
    @abstractmethod
    def train(cls, data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu"):
        """Learn from the PairedClips of the training split.

        Writes weights.safetensors, history.csv and, last, generator.json into `folder`, and returns
        the content of the last. held_out: clips of other speakers, which are measured.
        """

    @abstractmethod
    def draw(
        self,
        still: np.ndarray,
        utterances: Sequence[Utterance],
        n_frames: int,
        seeds: Sequence[int],
    ) -> np.ndarray:
        """Crops (B, n_frames, 96, 96) uint8 of a crop (96, 96) uint8 saying B utterances."""

    def prepare(self, picture: Path) -> CropPortrait:
        """The picture and its mouth crop. Raises PictureError if it shows no usable face."""
        image = read_picture(picture)
        return prepare_crop(image, self.detector, self.eye_to_mouth, self.alignment)

    def generate(
        self, portrait: CropPortrait, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray:
        """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait speaking, head still."""
        return next(self.generate_batch(portrait, [utterance], n_frames, [seed]))

    def generate_batch(
        self,
        portrait: CropPortrait,
        utterances: Sequence[Utterance],
        n_frames: int,
        seeds: Sequence[int],
    ) -> Iterator[np.ndarray]:
        crops = self.draw(portrait.crop, utterances, n_frames, seeds)
        yield from (paste(portrait, clip) for clip in crops)


def prepare_crop(
    image: np.ndarray, detector: RetinaFace, eye_to_mouth: float, alignment: str = "retinaface"
) -> CropPortrait:
    """Find the mouth in a picture (H, W, 3) uint8 RGB; eye_to_mouth (crop px) as in align.

    A large picture is cut down to the face (see frame_face); one whose face is smaller than in the
    crop is enlarged, so that frames can hold what a crop shows. Raises PictureError where there
    is no face to work with.

    alignment: that of the crops which the generator learnt from, see faces.crops.crop_clip. For
    'fixed' the picture becomes a frame of LRW instead (see lrw_frame) and its crop is the fixed
    one, so that the fixed crop finds in the frames what was pasted into them.
    """
    if alignment == "fixed":
        image = lrw_frame(image, detector)
        rows, columns = FIXED_CROP
        matrix = np.array([[1.0, 0.0, -columns.start], [0.0, 1.0, -rows.start]])
        return CropPortrait(image, cut_fixed(image[None])[0], matrix)
    image, points = frame_face(image, find_face(image, detector))
    height, width = image.shape[:2]
    scale = float(align(points[None], CROP_SIZE, eye_to_mouth).scale[0])
    enlarged = min(scale, LONGEST_SIDE / max(height, width))
    if enlarged > 1:
        size = (round(width * enlarged), round(height * enlarged))
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    points = find_face(image, detector).landmarks
    aligned = align(points[None], CROP_SIZE, eye_to_mouth)
    return CropPortrait(image, cut(image[None], aligned)[0], aligned.matrices[0])


def paste(portrait: CropPortrait, crops: np.ndarray) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 RGB of the portrait with crops (T, 96, 96) uint8 in place.

    The luminance inside the crop's square becomes that of the crops, faded in over FEATHER px from
    the square's edge; colour stays, as far as the new luminance leaves room for it. Outside the
    square nothing changes. Cut again at the same place, the crops come back within 1 grey level on
    average, where nothing is faded. Cut by crop_clip they are moved a little, because the detector
    sees the new mouth: the crops of 25 rendered clips, pasted into their first frames, came back
    with the mouth 1 px (median) beside its old place and 6.8 grey levels off on average (13.4 in
    the worst clip). Raises ValueError for crops of another format.
    """
    crops = np.asarray(crops)
    if crops.dtype != np.uint8 or crops.ndim != 3 or crops.shape[1:] != portrait.crop.shape:
        raise ValueError(f"crops must be uint8 (T, {CROP_SIZE}, {CROP_SIZE}), not {crops.dtype} "
                         f"{crops.shape}")  # fmt: skip
    x0, y0, x1, y1 = _box(portrait)
    part = portrait.image[y0:y1, x0:x1].astype(np.float32)
    grey = part @ GREY
    colour = part - grey[..., None]
    fade = _fade(portrait.crop.shape[0])
    frames = np.broadcast_to(portrait.image, (len(crops), *portrait.image.shape)).copy()
    for frame, crop in zip(frames, crops, strict=True):
        change = fade * (crop.astype(np.float32) - portrait.crop)
        light = (grey + _to_image(change, portrait.matrix, (x0, y0, x1, y1))).clip(0, 255)
        frame[y0:y1, x0:x1] = _coloured(light, colour)
    return frames


def _box(portrait: CropPortrait) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of the part of the image that the crop's square reaches."""
    side = portrait.crop.shape[0]
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64)
    turn = np.linalg.inv(portrait.matrix[:, :2])
    points = (corners - portrait.matrix[:, 2]) @ turn.T
    height, width = portrait.image.shape[:2]
    x0, y0 = np.floor(points.min(0)).astype(int).clip(0, (width, height))
    x1, y1 = np.ceil(points.max(0)).astype(int).clip(0, (width, height))
    return int(x0), int(y0), int(x1), int(y1)


def _fade(side: int) -> np.ndarray:
    """Weight (side, side) float32: 1 in the middle, falling to 0 at the edge."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]).astype(np.float32)
    ramp = (distance / FEATHER).clip(0, 1)
    return np.minimum(ramp[:, None], ramp)


def _to_image(change: np.ndarray, matrix: np.ndarray, box) -> np.ndarray:
    """A change of the crop (side, side) float32 as it looks in the box of the image, 0 outside.

    Where the image is coarser than the crop, n by n points of a finer grid are averaged.
    """
    x0, y0, x1, y1 = box
    finer = max(1, math.ceil(math.hypot(matrix[0, 0], matrix[1, 0]) - 1e-6))
    to_crop = np.array(matrix)
    to_crop[:, 2] += matrix[:, :2] @ (x0, y0)
    to_crop[:, :2] /= finer
    to_crop[:, 2] += to_crop[:, :2] @ (0.5, 0.5) - 0.5  # cv2's first centre is at (0, 0)
    moved = cv2.warpAffine(
        change, to_crop, ((x1 - x0) * finer, (y1 - y0) * finer),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
    )  # fmt: skip
    return (
        moved if finer == 1 else cv2.resize(moved, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    )


def _coloured(light: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """RGB (h, w, 3) uint8 of luminance (h, w) and colour, which is RGB less luminance before."""
    # colour fades where it would leave 0..255, so that the luminance stays what it should be
    room = np.where(colour > 0, 255 - light[..., None], light[..., None])
    kept = (room / np.maximum(np.abs(colour), 1e-3)).min(-1, keepdims=True).clip(0, 1)
    return np.rint(light[..., None] + kept * colour).clip(0, 255).astype(np.uint8)
