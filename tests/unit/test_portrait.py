import itertools
from functools import wraps

import cv2
import numpy as np
import pytest
from tests.helpers.toy_codebook import small_codebook

from visemix.corpora.miniature import make_corpus
from visemix.faces.crops import crop_clip
from visemix.faces.pictures import PictureError
from visemix.generators import portrait
from visemix.generators.base import GenerationError, Utterance, mouth_motion
from visemix.generators.sound_to_visemes import save_codebook
from visemix.heads.speech import Voice, say
from visemix.media import read_clip


def spoken(sound) -> Utterance:
    return Utterance(sound, "WORD", 0.3, 0.8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_codebook(small_codebook(), portrait.codebook_path(folder))
    return portrait.PortraitGenerator(folder)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    root = tmp_path_factory.mktemp("rendered")
    make_corpus(root, ["MONEY"], {"train": 1, "val": 0, "test": 0}, portraits=1, seed=3)
    return root / "portraits" / "portrait-0000.png"


def test_a_rendered_portrait_speaks(model, picture):
    still = model.prepare(picture)
    sound = say("they said money today", Voice("gmw/en+m2")).sound
    frames = model.generate(still, spoken(sound), 29, seed=1)
    assert frames.shape == (29, 256, 256, 3) and frames.dtype == np.uint8
    assert all(len(faces) == 1 for faces in model.detector.detect(frames, 0.9))
    assert mouth_motion(crop_clip(frames, model.detector).crops) > 20
    assert (model.generate(still, spoken(sound), 29, seed=2) == frames).all()


def test_mouth_is_piecewise_constant_and_the_head_rests(model, picture):
    still = model.prepare(picture)
    sound = say("all of us move about", Voice("gmw/en+m2", rate=120)).sound
    frames = model.generate(still, spoken(sound), 40, seed=0)
    held = [(a == b).all() for a, b in itertools.pairwise(frames)]
    nearly = [np.abs(a.astype(int) - b).mean() < 0.5 for a, b in itertools.pairwise(frames)]
    assert sum(nearly) > 10 and not all(held)
    eyes = frames[:, : still.box[1]]
    assert (eyes == eyes[0]).all()


def test_different_sounds_move_it_differently(model, picture):
    still = model.prepare(picture)
    texts = ("people move before", "so it is easy")
    a, b = (model.generate(still, spoken(say(t).sound), 29, 0) for t in texts)
    assert np.abs(a.astype(int) - b)[:, still.box[1] :].max() > 50


def test_silence_is_refused(model, picture):
    still = model.prepare(picture)
    with pytest.raises(GenerationError, match="silent sound"):
        model.generate(still, spoken(np.zeros(18560, np.int16)), 29, 0)


def test_large_pictures_are_cut_to_the_face(model, picture, tmp_path):
    small = cv2.imread(str(picture))
    large = cv2.resize(small, (900, 900), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(large, 0, 0, 200, 400, cv2.BORDER_REPLICATE)
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    still = model.prepare(tmp_path / "wide.png")
    assert still.image.shape == (256, 256, 3)
    face = model.detector.detect(still.image[None], 0.9)[0][0]
    assert 0.3 < (face.box[3] - face.box[1]) / 256 < 0.7


@pytest.mark.parametrize(
    "content, reason",
    [
        (None, "cannot be read"),
        (np.full((256, 256, 3), 127, np.uint8), "no face found"),
    ],
)
def test_pictures_that_cannot_speak(model, tmp_path, content, reason):
    path = tmp_path / "picture.png"
    if content is None:
        path.write_bytes(b"no picture")
    else:
        cv2.imwrite(str(path), content)
    with pytest.raises(PictureError, match=reason):
        model.prepare(path)


def test_a_face_that_is_too_small(model, picture, tmp_path):
    small = cv2.resize(cv2.imread(str(picture)), (90, 90), interpolation=cv2.INTER_AREA)
    canvas = cv2.copyMakeBorder(small, 83, 83, 83, 83, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    cv2.imwrite(str(tmp_path / "small.png"), canvas)
    with pytest.raises(PictureError, match=r"too small|no face"):
        model.prepare(tmp_path / "small.png")


def test_a_real_face_and_a_real_voice(model, real_clips, tmp_path):
    clip = read_clip(real_clips / "grid" / "s1_lbaq6p.mpg", sound=True)
    cv2.imwrite(str(tmp_path / "real.png"), clip.frames[0][..., ::-1])
    still = model.prepare(tmp_path / "real.png")
    frames = model.generate(still, spoken(clip.sound), 75, 0)
    crops = crop_clip(frames, model.detector)
    assert crops.quality["interpolated_frames"] == 0
    assert mouth_motion(crops.crops) > 10


def test_build_makes_the_codebook_once(monkeypatch, tmp_path):
    as_it = wraps(portrait.build_codebook)  # the file is named after the code of its module
    made_up = as_it(lambda path, workers: path.write_bytes(b"x"))
    monkeypatch.setattr(portrait, "build_codebook", made_up)
    portrait.PortraitGenerator.build(tmp_path)
    (made,) = tmp_path.iterdir()
    monkeypatch.setattr(portrait, "build_codebook", as_it(lambda *_: pytest.fail("once more")))
    portrait.PortraitGenerator.build(tmp_path)
    assert list(tmp_path.iterdir()) == [made]
