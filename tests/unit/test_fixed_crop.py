"""The fixed crop of LRW: one square of every frame, with no detector at all."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import visemix.faces.crops as crops_module
from visemix.clips.shards import open_crops, read_rejects
from visemix.config import generators as sections
from visemix.corpora import lrw
from visemix.corpora.manifest import manifest_frame
from visemix.corpora.miniature import make_corpus
from visemix.faces.alignment import FIXED_EYE_TO_MOUTH, align, cut
from visemix.faces.crops import CropError, crop_clip, crop_set
from visemix.faces.pictures import find_face, read_picture
from visemix.faces.retinaface import RetinaFace
from visemix.generators import trained
from visemix.generators.aniportrait_small import renderer
from visemix.generators.base import Generator, Utterance, generator_class
from visemix.generators.crop_space import FEATHER, paste, prepare_crop
from visemix.generators.lam import weights
from visemix.generators.lam.model import Lam
from visemix.generators.lam.weights import load_weights
from visemix.generators.paired_clips import PairedClips
from visemix.generators.wav2lip import measures, training
from visemix.media import read_clip, read_video, write_clip
from visemix.run.atomic import sha256_file
from visemix.synthesis import build
from visemix.synthesis.build import Job, Task, generate_clips

FIXED = {"alignment": "fixed"}


@given(row=st.integers(0, 255), column=st.integers(0, 255), level=st.integers(1, 255))
def test_it_is_the_square_of_feng_and_nothing_else(row, column, level):
    frames = np.zeros((2, 256, 256, 3), np.uint8)
    frames[1, row, column] = level
    crops = crop_clip(frames, None, alignment="fixed").crops
    assert crops.shape == (2, 96, 96) and crops.dtype == np.uint8 and not crops[0].any()
    expected = np.zeros((96, 96), np.uint8)
    if 115 <= row < 211 and 79 <= column < 175:
        expected[row - 115, column - 79] = level
    np.testing.assert_array_equal(crops[1], expected)


@given(seed=st.integers(0, 99), shift=st.integers(-20, 20))
def test_a_shifted_frame_gives_the_shifted_crop(seed, shift):
    """No face is followed: what moves in the frame moves in the crop."""
    frame = np.random.default_rng(seed).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    crop, moved = (
        crop_clip(f, None, alignment="fixed").crops[0] for f in (frame, np.roll(frame, shift, 2))
    )
    inner = crop[:, 20:-20]
    np.testing.assert_array_equal(moved[:, 20 + shift : 76 + shift], inner)


@pytest.mark.parametrize("size", [(255, 256), (256, 320), (288, 360), (128, 128)])
def test_frames_of_another_size_are_refused(size):
    with pytest.raises(CropError, match=f"{size[1]}x{size[0]}; .* crops.alignment: retinaface"):
        crop_clip(np.zeros((2, *size, 3), np.uint8), None, alignment="fixed")


def test_wrong_questions_are_answered_clearly():
    frames = np.zeros((2, 256, 256, 3), np.uint8)
    with pytest.raises(ValueError, match="'retinaface' or 'fixed'"):
        crop_clip(frames, None, alignment="mediapipe")
    with pytest.raises(ValueError, match="96 px wide, not 64"):
        crop_clip(frames, None, alignment="fixed", size=64)
    with pytest.raises(CropError, match="no frames"):
        crop_clip(frames[:0], None, alignment="fixed")


def test_a_set_needs_no_detector_and_says_so(tmp_path, monkeypatch):
    make_corpus(tmp_path / "corpus", ["about"], {"train": 2}, seed=3)
    manifest = lrw.scan(tmp_path / "corpus")
    wide = tmp_path / "corpus" / "wide.mp4"
    write_clip(wide, np.zeros((29, 256, 320, 3), np.uint8), np.zeros(18560, np.int16))
    facts = ("train/WIDE_00001", "lrw", "train", "WIDE", "wide.mp4", 29, 25.0, 0.4, 0.7, "s")
    rows = [tuple(row) for row in manifest.itertuples(index=False)]
    manifest = manifest_frame([*rows, (*facts, sha256_file(wide), "ok", "")])

    monkeypatch.setattr(crops_module, "load_detector", lambda **_: pytest.fail("not asked for"))
    crop_set(manifest, "train", tmp_path / "corpus", tmp_path / "set", FIXED)
    with open_crops(tmp_path / "set") as crops:
        first = manifest[manifest.clip_id == crops.index.clip_id[0]].media.iloc[0]
        frames = read_video(tmp_path / "corpus" / first)
        np.testing.assert_array_equal(
            crops.read([0])[0], crop_clip(frames, None, alignment="fixed").crops
        )
        assert crops.manifest["parameters"]["alignment"] == "fixed"
        assert crops.manifest["parameters"]["detector"] is None
        assert crops.index["scale"].tolist() == [1, 1] and "detector_score" not in crops.index
    rejects = read_rejects(tmp_path / "set")
    assert rejects.clip_id.tolist() == ["train/WIDE_00001"]
    assert "320x256" in rejects.reason[0]


def test_synthetic_clips_go_the_same_way(tmp_path):
    """A generator's frames are cut at the same square; other sizes become a rejected record."""
    make_corpus(tmp_path, ["about"], {"train": 1}, seed=3)
    media = next((tmp_path / "lipread_mp4").rglob("*.mp4"))
    frames = read_clip(media).frames

    class Still(Generator):
        def prepare(self, picture):
            pytest.fail("the portrait is given")

        def generate(self, portrait, utterance, n_frames, seed):
            return portrait

    job = Job("portrait", tmp_path, tmp_path, FIXED, 0.95)
    task = Task(
        "a", "ABOUT", "train/ABOUT_00001", "p", "p.png", "0", 0, str(media.relative_to(tmp_path)),
        29, "0", 0.4, 0.7, "portrait", "1",
    )  # fmt: skip
    [(made, _)] = generate_clips(job, [task], Still(tmp_path), frames)
    assert not made.reason
    np.testing.assert_array_equal(made.crops, crop_clip(frames, None, alignment="fixed").crops)
    [(small, _)] = generate_clips(job, [task], Still(tmp_path), frames[:, ::2, ::2].copy())
    assert small.crops is None and "128x128" in small.reason


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Frames as LRW has them and a larger picture, which are no frame of LRW's size."""
    root = tmp_path_factory.mktemp("pictures")
    make_corpus(root, ["about"], {"train": 1}, portraits=1, seed=3)
    frame = cv2.imread(str(root / "portraits" / "portrait-0000.png"))
    padded = cv2.copyMakeBorder(frame, 90, 10, 20, 160, cv2.BORDER_REPLICATE)
    cv2.imwrite(str(root / "large.png"), cv2.resize(padded, None, fx=1.5, fy=1.5))
    cv2.imwrite(str(root / "small.png"), cv2.resize(frame[30:250, 20:236], None, fx=0.8, fy=0.8))
    return root


def drawn(first: np.ndarray) -> np.ndarray:
    """Crops (29, 96, 96) of a mouth that a generator may have drawn into a crop (96, 96)."""
    clip = np.repeat(first[None], 29, 0)
    light = np.random.default_rng(0).permutation(np.linspace(0.4, 1, 29))[:, None, None]
    clip[:, 40:56, 30:66] = clip[:, 40:56, 30:66] * light
    return clip


def speaking(name: str, monkeypatch, alignment="fixed") -> Generator:
    """A trained generator with `drawn` for a network."""
    facts = {"eye_to_mouth": 64.0, "alignment": alignment}
    made = SimpleNamespace(**facts, make=lambda first, *_: drawn(first[0])[None])
    made.mesh = made
    speak = lambda _, crop, sounds, n: [drawn(crop)] * len(sounds)  # noqa: E731
    monkeypatch.setattr(measures, "speak_all", speak)
    monkeypatch.setattr(training, "load_generator", lambda *_: (None, 64.0, alignment))
    for module in (weights, renderer):
        monkeypatch.setattr(module, "load_weights", lambda *_: made)
    return generator_class(name)(None)


TRAINED = ["lam", "wav2lip", "aniportrait-small"]
SAID = Utterance(np.full(18560, 900, np.int16), "ABOUT", 0.4, 0.7)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("picture", ["portraits/portrait-0000.png", "large.png", "small.png"])
def test_a_generator_that_draws_crops_is_cut_where_it_drew(name, picture, pictures, monkeypatch):
    """At 64 px from eyes to mouth its frames were 285 to 339 px wide, and all were rejected."""
    model = speaking(name, monkeypatch)
    portrait = model.prepare(pictures / picture)
    frames = model.generate(portrait, SAID, 29, 0)
    crops = crop_clip(frames, None, alignment="fixed").crops
    inner = np.s_[:, FEATHER:-FEATHER, FEATHER:-FEATHER]
    difference = crops[inner].astype(int) - drawn(portrait.crop)[inner]
    assert np.abs(difference).mean() < 1
    # the mouth lies where real frames have it, with its own distance from the eyes
    points = RetinaFace().detect(portrait.image[None])[0][0].landmarks
    assert np.linalg.norm(points[3:].mean(0) - points[:2].mean(0)) == pytest.approx(56, abs=8)
    assert np.abs(points[3:].mean(0) - [127, 163]).max() < 25


@pytest.mark.parametrize("name", TRAINED)
def test_with_retinaface_nothing_is_other_than_it_was(name, pictures, monkeypatch):
    model = speaking(name, monkeypatch, "retinaface")
    picture = pictures / "portraits/portrait-0000.png"
    portrait = model.prepare(picture)
    assert portrait.image.shape[0] > 256  # enlarged to what a crop shows
    points = find_face(portrait.image, model.detector).landmarks[None]
    alignment = align(points, 96, 64.0)
    np.testing.assert_array_equal(portrait.matrix, alignment.matrices[0])
    np.testing.assert_array_equal(portrait.crop, cut(portrait.image[None], alignment)[0])


@pytest.mark.parametrize("side", [256, 512])
def test_other_generators_get_a_frame_of_lrw_and_may_enlarge_it(side, pictures, monkeypatch):
    class Other(Generator):
        def prepare(self, picture):
            return read_picture(picture)

        def generate(self, portrait, utterance, n_frames, seed):
            assert portrait.shape == (256, 256, 3)
            frames = paste(prepare_crop(portrait, None, 64.0, "fixed"), drawn(crop_of(portrait)))
            return np.stack([cv2.resize(f, (side, side)) for f in frames])

    def crop_of(portrait):
        return crop_clip(portrait[None], None, alignment="fixed").crops[0]

    monkeypatch.setattr(build, "loaded_generator", lambda *_: Other(pictures))
    media = next((pictures / "lipread_mp4").rglob("*.mp4")).relative_to(pictures)
    job = Job("portrait", pictures, pictures, FIXED, 0.95, (pictures,))
    task = Task(
        "a", "ABOUT", "train/ABOUT_00001", "p", "large.png", "0", 0, str(media), 29, "0", 0.4,
        0.7, "portrait", "1",
    )  # fmt: skip
    [(made, _)] = build.generate_group(job, [task])
    assert not made.reason


def test_trained_generators_know_how_their_crops_were_cut(tmp_path):
    for alignment, distance in (("retinaface", 80.0), ("fixed", FIXED_EYE_TO_MOUTH)):
        manifest = {"parameters": {"alignment": alignment, "eye_to_mouth": 80}}
        pairs = PairedClips(SimpleNamespace(manifest=manifest), None, None, {})
        assert (pairs.alignment, pairs.eye_to_mouth) == (alignment, distance)
        network = Lam(sections.Lam(channels=(4,), discriminator_channels=2, speech_channels=4))
        facts = {"eye_to_mouth": distance, "alignment": alignment}
        trained.write_weights(tmp_path / "weights.safetensors", network, **facts)
        again = load_weights(tmp_path)
        assert (again.alignment, again.eye_to_mouth) == (alignment, distance)


def test_real_words_show_the_mouth(real_clips, tmp_path):
    root = real_clips / "lrw_layout"
    manifest = lrw.scan(root)
    crop_set(manifest, "test", root, tmp_path, FIXED)
    detector = RetinaFace()
    with open_crops(tmp_path) as crops:
        assert len(crops) == (manifest.status == "ok").sum() and read_rejects(tmp_path).empty
        assert crops.read(range(len(crops)))[:, :, 32:64, 24:72].std() > 10
    for media in manifest.media[::4]:
        faces = detector.detect(read_clip(root / media).frames[::9])
        mouths = np.array([f[0].landmarks[3:] for f in faces]) - [79, 115]
        assert mouths.min() > 12 and mouths.max() < 84  # both mouth corners lie well inside
