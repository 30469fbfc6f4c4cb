import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.corpora.miniature import make_corpus
from visemix.faces.alignment import align, cut
from visemix.faces.crops import crop_clip
from visemix.faces.pictures import PictureError, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.generators.crop_space import FEATHER, CropPortrait, paste, prepare_crop

INNER = np.s_[:, FEATHER:-FEATHER, FEATHER:-FEATHER]  # where nothing is faded


@pytest.fixture(scope="module")
def detector():
    return RetinaFace(threads=1)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    root = tmp_path_factory.mktemp("rendered")
    make_corpus(root, ["MONEY"], {"train": 1, "val": 0, "test": 0}, portraits=1, seed=3)
    return read_picture(root / "portraits" / "portrait-0000.png")


def at(points: np.ndarray, image: np.ndarray, eye_to_mouth: float = 48.0) -> CropPortrait:
    """A portrait with known landmarks, without a detector."""
    alignment = align(points[None], 96, eye_to_mouth)
    return CropPortrait(image, cut(image[None], alignment)[0], alignment.matrices[0])


def cut_again(portrait: CropPortrait, frames: np.ndarray) -> np.ndarray:
    alignment = align(POINTS[None], 96, 48.0)
    assert np.allclose(alignment.matrices[0], portrait.matrix)
    return cut(frames, type(alignment)(
        np.repeat(alignment.matrices, len(frames), 0), alignment.scale, alignment.roll
    ))  # fmt: skip


POINTS = np.array([[100, 80], [148, 86], [122, 110], [102, 134], [138, 138]], np.float64)


def smooth_picture(seed: int, shape=(220, 240, 3), low: int = 60, high: int = 200) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(low, high, shape, np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def smooth_crops(seed: int, frames: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-1, 1, (frames, 96, 96)).astype(np.float32)
    return (
        np.stack([128 + 600 * cv2.GaussianBlur(n, (0, 0), 3) for n in noise])
        .clip(0, 255)
        .astype(np.uint8)
    )


@given(st.integers(0, 50))
def test_pasted_crops_come_back(seed):
    portrait, crops = at(POINTS, smooth_picture(seed)), smooth_crops(seed)
    again = cut_again(portrait, paste(portrait, crops))
    difference = np.abs(again.astype(int) - crops)[INNER]
    assert difference.mean() < 1 and difference.max() <= 5


def test_its_own_crop_leaves_the_picture_as_it_is():
    picture = smooth_picture(1)
    portrait = at(POINTS, picture)
    assert (paste(portrait, portrait.crop[None]) == picture).all()


def test_nothing_changes_outside_the_square_and_colour_stays():
    picture = smooth_picture(2)
    portrait = at(POINTS, picture)
    (frame,) = paste(portrait, np.full((1, 96, 96), 140, np.uint8))
    changed = np.abs(frame.astype(int) - picture).max(2) > 0
    y, x = np.nonzero(changed)
    corners = portrait.matrix[:, :2] @ np.stack([x + 0.5, y + 0.5]) + portrait.matrix[:, 2:]
    assert changed.sum() > 5000 and (corners > 0).all() and (corners < 96).all()
    # colour is RGB less luminance; equal here, where nothing is near black or white
    weights = (0.299, 0.587, 0.114)
    before, after = (p - (p @ weights)[..., None] for p in (picture.astype(float), frame))
    assert np.abs(before - after).max() < 1.5


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_reached_on_coloured_skin(level):
    picture = np.broadcast_to(np.array([220, 140, 110], np.uint8), (220, 240, 3)).copy()
    portrait = at(POINTS, picture)
    again = cut_again(portrait, paste(portrait, np.full((1, 96, 96), level, np.uint8)))
    assert np.abs(again.astype(int)[:, 20:76, 20:76] - level).max() <= 2


def test_a_face_smaller_than_in_the_crop_is_enlarged(picture, detector):
    portrait = prepare_crop(picture, detector, eye_to_mouth=80)
    assert max(portrait.image.shape) > 300 > max(picture.shape)
    assert np.hypot(*portrait.matrix[:, 0]) == pytest.approx(1, abs=0.1)
    assert portrait.crop.shape == (96, 96)


def test_a_clip_of_pasted_crops_is_cropped_to_them(picture, detector):
    """Through the detector, as the contract does; its points follow the drawn mouth a little."""
    portrait = prepare_crop(picture, detector, eye_to_mouth=80)
    crops = np.repeat(portrait.crop[None], 12, 0)
    for t, crop in enumerate(crops):  # a mouth that opens and closes
        size = (22, 2 + abs(6 - t))
        cv2.ellipse(crop, (48, 50), size, 0, 0, 360, 40, -1, cv2.LINE_AA)
    again = crop_clip(paste(portrait, crops), detector, eye_to_mouth=80)
    assert again.quality["interpolated_frames"] == 0
    assert np.abs(again.crops.astype(int) - crops)[INNER].mean() < 15
    still = crop_clip(
        paste(portrait, np.repeat(portrait.crop[None], 3, 0)), detector, eye_to_mouth=80
    )
    assert (still.crops == portrait.crop).all()


def test_wrong_input_is_refused(picture, detector):
    portrait = prepare_crop(picture, detector, eye_to_mouth=80)
    with pytest.raises(ValueError, match="crops must be uint8"):
        paste(portrait, np.zeros((2, 64, 64), np.uint8))
    with pytest.raises(PictureError, match="no face found"):
        prepare_crop(np.full((200, 200, 3), 90, np.uint8), detector, 80)
