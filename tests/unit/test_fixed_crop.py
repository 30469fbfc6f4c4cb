"""The fixed crop of LRW: one square of every frame, with no detector at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import visemix.faces.crops as crops_module
from visemix.clips.shards import open_crops, read_rejects
from visemix.corpora import lrw
from visemix.corpora.manifest import manifest_frame
from visemix.corpora.miniature import make_corpus
from visemix.faces.crops import CropError, crop_clip, crop_set
from visemix.faces.retinaface import RetinaFace
from visemix.generators.contract import Job, Task, generate_clip
from visemix.media import read_clip, read_video, write_clip
from visemix.run.atomic import sha256_file

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
    with pytest.raises(ValueError, match="unknown alignment 'mediapipe'; known: retinaface, fixed"):
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

    class Generator:
        def generate(self, model, portrait, sound, n_frames, seed):
            return portrait

    job = Job("portrait", tmp_path, tmp_path, (tmp_path,), FIXED, 0.95)
    task = Task(
        "a", "ABOUT", "train/ABOUT_00001", "p", "p.png", "0", 0, str(media.relative_to(tmp_path)),
        29, "0", 0.4, 0.7, "portrait", "1",
    )  # fmt: skip
    made = generate_clip(job, task, Generator(), None, frames)
    assert made.record.status == "accepted"
    np.testing.assert_array_equal(made.crops, crop_clip(frames, None, alignment="fixed").crops)
    small = generate_clip(job, task, Generator(), None, frames[:, ::2, ::2].copy())
    assert small.record.status == "rejected" and "128x128" in small.record.reason


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
