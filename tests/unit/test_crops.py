import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import visemix.faces.crops as crops_module
from visemix.clips.shards import open_crops, read_rejects, verify_crops
from visemix.config.crops import Crops
from visemix.corpora import lrw
from visemix.corpora.manifest import manifest_frame
from visemix.faces.crops import CropError, crop_at, crop_clip, crop_set, locate_speaker
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip, read_video, write_clip
from visemix.run.atomic import sha256_file

DATA = Path(__file__).parents[1] / "data"
HEAD = DATA / "talking_head.mp4"
SILENCE = np.zeros(29 * 640, np.int16)
WIDE = {"eye_to_mouth": 48.0}  # px, for which the limits below were measured


@pytest.fixture(scope="module")
def detector():
    return RetinaFace()


@pytest.fixture(scope="module")
def frames():
    return read_clip(HEAD).frames


@pytest.fixture(scope="module")
def mouth(frames, detector):
    return crop_clip(frames, detector, **WIDE)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_crops_show_the_mouth_in_the_middle(mouth, frames):
    assert mouth.crops.shape == (29, 96, 96) and mouth.crops.dtype == np.uint8
    truth = np.load(DATA / "talking_head_landmarks.npy")
    off = (mouth.landmarks[:, 3:].mean(1) - truth[:, 3:].mean(1)) * mouth.quality["scale"]
    assert np.abs(off).max() < 8  # crop px; the middle third is 16 px to each side
    at_truth = crop_at(frames, truth, **WIDE)
    assert np.abs(at_truth.crops.astype(int) - mouth.crops).mean() < 12
    quality = mouth.quality
    assert 0.9 < quality["detector_score"] <= 1 and quality["interpolated_frames"] == 0
    assert 0.5 < quality["scale"] < 1.5 and abs(quality["roll"]) < 15


def test_a_video_gives_the_crops_of_its_frames(mouth, detector):
    """Its grey is the decoder's own; that of RGB, which was rounded down, is darker by a level."""
    lazy = crop_clip(read_video(HEAD), detector, **WIDE)
    np.testing.assert_array_equal(lazy.landmarks, mouth.landmarks)
    assert lazy.quality == mouth.quality
    difference = lazy.crops.astype(int) - mouth.crops
    assert np.abs(difference).max() <= 8 and 0.5 < difference.mean() < 2 and difference.std() < 1


def test_looking_at_every_third_frame_changes_next_to_nothing(mouth, frames, detector):
    every = crop_clip(frames, detector, detect_every=1, **WIDE)
    difference = np.linalg.norm(every.landmarks - mouth.landmarks, axis=2)
    assert difference.mean() * mouth.quality["scale"] < 0.2
    assert difference.max() * mouth.quality["scale"] < 0.8
    assert difference.max() > 0


def test_detection_looks_at_all_frames_only_when_it_must(frames, detector):
    assert locate_speaker(frames, detector)[1] == 11
    assert locate_speaker(frames, detector, Crops(detect_every=2))[1] == 15
    assert locate_speaker(frames, detector, Crops(detect_every=4))[1] == 8
    shaking = np.stack([np.roll(f, 20 * (i // 2 % 2), axis=1) for i, f in enumerate(frames)])
    track, looked_at = locate_speaker(shaking, detector)
    assert looked_at == 29 and len(track.frames) == 29
    assert locate_speaker(frames[:1], detector)[1] == 1


class Recorder:
    """A detector that notes how each frame was looked at."""

    def __init__(self, detector):
        self.detector, self.large_only = detector, []

    def detect(self, frames, score, longest_side, large_only):
        self.large_only += [large_only] * len(frames)
        return self.detector.detect(frames, score, longest_side, large_only)


def test_the_fine_level_is_asked_only_where_it_can_matter(frames, detector):
    recorder = Recorder(detector)
    track, _ = locate_speaker(frames, recorder)
    assert recorder.large_only == [False] + 10 * [True]
    whole = detector.detect(frames[track.frames])
    for face, faces in zip(track.faces, whole, strict=True):
        np.testing.assert_array_equal(face.landmarks, faces[0].landmarks)

    small = np.full_like(frames, 60)  # a face of about 50 px: the fine level is asked throughout
    small[:, 64:192, 64:192] = frames[:, ::2, ::2]
    recorder = Recorder(detector)
    assert len(locate_speaker(small, recorder)[0].frames) == 11
    assert not any(recorder.large_only)

    shrinks = frames.copy()  # large at first, then too small for the coarse levels alone
    shrinks[10:] = 60
    tiny = [cv2.resize(f, (40, 40), interpolation=cv2.INTER_AREA) for f in frames[10:]]
    shrinks[10:, 108:148, 108:148] = np.stack(tiny)
    recorder = Recorder(detector)
    locate_speaker(shrinks, recorder)
    assert any(recorder.large_only) and not any(recorder.large_only[-29:])


def test_short_gaps_are_filled(frames, detector, mouth):
    hidden = frames.copy()
    hidden[6:9] = 127
    filled = crop_clip(hidden, detector)
    assert filled.quality["interpolated_frames"] == 3
    off = np.linalg.norm(filled.landmarks - mouth.landmarks, axis=2) * mouth.quality["scale"]
    assert off.max() < 2
    np.testing.assert_array_equal(filled.crops[6:9], 127)


def test_clips_without_enough_of_a_face_are_refused(frames, detector):
    hidden = frames.copy()
    hidden[10:20] = 127
    with pytest.raises(CropError, match="face found in only 19 of 29 frames"):
        crop_clip(hidden, detector)
    assert (
        crop_clip(hidden, detector, max_missing_proportion=0.5).quality["interpolated_frames"] == 10
    )
    with pytest.raises(CropError, match="only 0 of 29 frames"):
        crop_clip(np.full_like(frames, 127), detector)
    with pytest.raises(CropError, match="no frames"):
        crop_clip(frames[:0], detector)


@pytest.mark.parametrize(("angle", "scale"), [(12, 1), (-12, 1), (0, 0.75), (6, 1.2)])
def test_a_turned_or_scaled_clip_gives_the_same_crops(frames, detector, mouth, angle, scale):
    """As far as the detector agrees with itself: 4 crop px at the mouth, 3 degrees, 6% of size."""
    matrix = cv2.getRotationMatrix2D((128, 140), angle, scale)
    moved = [cv2.warpAffine(f, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE) for f in frames]
    turned = crop_clip(np.stack(moved), detector, **WIDE)
    back = (turned.landmarks - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    off = (back[:, 3:].mean(1) - mouth.landmarks[:, 3:].mean(1)) * mouth.quality["scale"]
    assert np.abs(off).max() < 4 and np.abs(off).mean() < 1.5
    assert turned.quality["scale"] * scale == pytest.approx(mouth.quality["scale"], rel=0.06)
    assert turned.quality["roll"] + angle == pytest.approx(mouth.quality["roll"], abs=3)
    # And the pictures themselves agree better than pictures that are 4 px apart do.
    inner = np.s_[:, 16:80, 16:80]
    shifted = np.roll(mouth.crops, 4, axis=2)[inner].astype(int) - mouth.crops[inner]
    assert (
        np.abs(turned.crops[inner].astype(int) - mouth.crops[inner]).mean() < np.abs(shifted).mean()
    )


def test_the_speaker_is_cropped_not_a_bystander(frames, detector, mouth):
    small = [cv2.resize(f, (80, 80), interpolation=cv2.INTER_AREA) for f in frames[::-1]]
    wide = np.full((29, 256, 400, 3), 60, np.uint8)
    wide[:, :, 60:316] = frames
    wide[:, 10:90, 316:396] = np.stack(small)
    assert min(len(f) for f in detector.detect(wide[::7])) == 2
    off = crop_clip(wide, detector).landmarks - mouth.landmarks - [60, 0]
    assert np.abs(off).max() < 3


def test_crop_size_and_reach_are_parameters(frames, detector):
    tight = crop_clip(frames[:3], detector, eye_to_mouth=64, size=64)
    wide = crop_clip(frames[:3], detector, eye_to_mouth=32, size=64)
    assert tight.crops.shape == wide.crops.shape == (3, 64, 64)
    assert tight.quality["scale"] == pytest.approx(2 * wide.quality["scale"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, frames):
    """Root and manifest of five good clips, one without a face, one damaged, one absent."""
    root = tmp_path_factory.mktemp("corpus")
    for number in range(1, 9):
        (root / f"{number}.mp4").write_bytes(HEAD.read_bytes())
    write_clip(root / "2.mp4", np.full_like(frames, 127), SILENCE)
    write_clip(root / "3.mp4", frames[::-1], SILENCE)
    write_clip(root / "5.mp4", frames[:, ::-1, ::-1][:20], SILENCE)
    (root / "6.mp4").write_bytes(HEAD.read_bytes()[:20000])
    (root / "7.mp4").unlink()
    rows = [
        (f"train/ABOUT_{n:05d}", "tiny", "train", "ABOUT", f"{n}.mp4", 29, 25.0, 0.4, 0.76, f"s{n}")
        + (sha256_file(root / f"{n}.mp4") if n != 7 else "0" * 64, "ok", "")
        for n in range(8, 0, -1)
    ]
    return root, manifest_frame(rows)


@pytest.fixture(scope="module")
def cropped(corpus, tmp_path_factory):
    root, manifest = corpus
    folder = tmp_path_factory.mktemp("crops")
    crop_set(manifest, "train", root, folder, {"score": 0.6}, clips_per_shard=3)
    return folder


def test_a_split_becomes_a_crop_set_and_broken_clips_rejects(cropped, corpus, frames, detector):
    verify_crops(cropped)
    crops, rejects = open_crops(cropped), read_rejects(cropped).set_index("clip_id")
    assert [int(c[-5:]) for c in crops.index["clip_id"]] == [1, 3, 4, 8]
    np.testing.assert_array_equal(crops.read([0])[0], crop_clip(read_video(HEAD), detector).crops)
    assert crops.index["speaker"].tolist() == ["s1", "s3", "s4", "s8"]
    assert set(crops.index["word_start_s"]) == {0.4}
    assert {"detector_score", "interpolated_frames", "scale", "roll"} <= set(crops.index)
    assert crops.manifest["parameters"]["score"] == 0.6
    assert crops.manifest["parameters"]["detect_every"] == 3  # defaults are recorded too
    expected = {2: "only 0 of 29", 5: "20 frames decoded", 6: "cut short", 7: "no such file"}
    for number, reason in expected.items():
        found = rejects.loc[f"train/ABOUT_{number:05d}", "reason"]
        assert reason in found and str(corpus[0]) not in found, found
        assert rejects.loc[f"train/ABOUT_{number:05d}", "speaker"] == f"s{number}"


def test_clips_that_the_manifest_rejected_are_rejects_too(corpus, tmp_path):
    root, manifest = corpus
    chosen = manifest[manifest.split == "train"].clip_id.iloc[0]
    rejected = manifest.clip_id == chosen
    manifest = manifest.assign(
        status=manifest.status.mask(rejected, "rejected"),
        reason=manifest.reason.mask(rejected, "20 frames instead of 29"),
    )
    crop_set(manifest, "train", root, tmp_path / "set")
    rejects = read_rejects(tmp_path / "set").set_index("clip_id")
    assert rejects.reason[chosen] == "20 frames instead of 29"
    assert chosen not in set(open_crops(tmp_path / "set").index.clip_id)


def test_processes_give_the_same_bytes(cropped, corpus, tmp_path):
    root, manifest = corpus
    crop_set(manifest, "train", root, tmp_path, {"score": 0.6}, workers=2, clips_per_shard=3)
    assert contents(tmp_path) == contents(cropped)


def test_wrong_questions_are_answered_clearly(corpus, tmp_path):
    root, manifest = corpus
    with pytest.raises(ValueError, match=r"split 'test' \(has: train\)"):
        crop_set(manifest, "test", root, tmp_path)
    with pytest.raises(ValueError, match="crop parameter 'smooth'; known: alignment, detector"):
        crop_set(manifest, "train", root, tmp_path, {"smooth": 3})


def test_crops_of_older_code_are_not_kept(corpus, tmp_path, monkeypatch):
    root, manifest = corpus
    one = manifest[manifest["clip_id"] == "train/ABOUT_00001"]
    made = []
    monkeypatch.setattr(crops_module, "read_video", lambda p: made.append(p) or read_video(p))
    crop_set(one, "train", root, tmp_path)
    crop_set(one, "train", root, tmp_path)
    assert len(made) == 1
    monkeypatch.setattr(crops_module, "code_digest", lambda *parts: "of newer code")
    crop_set(one, "train", root, tmp_path)
    assert len(made) == 2


KILLED = """
import sys
from visemix.corpora.manifest import read_manifest
from visemix.faces.crops import crop_set

if __name__ == "__main__":
    root, manifest, folder = sys.argv[1:]
    crop_set(read_manifest(manifest), "train", root, folder, {"score": 0.6}, 2, clips_per_shard=1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_at_a_random_moment_the_second_start_ends_in_the_same_bytes(corpus, tmp_path):
    root, manifest = corpus
    crop_set(manifest, "train", root, tmp_path / "whole", {"score": 0.6}, clips_per_shard=1)
    manifest.to_parquet(tmp_path / "manifest.parquet")
    script, folder = tmp_path / "start.py", tmp_path / "killed"
    script.write_text(KILLED)
    command = [sys.executable, script, root, tmp_path / "manifest.parquet", folder]

    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (folder / "shard-00000.json").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(random.random() * 0.1)
    process.kill()  # the parent alone: its workers have to notice
    process.wait()
    assert (folder / "shard-00000.json").exists()

    subprocess.run(command, check=True, timeout=120)
    assert contents(folder) == contents(tmp_path / "whole")
    while (orphans := _group_is_alive(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if orphans:
        os.killpg(process.pid, signal.SIGKILL)
    assert not orphans


def _group_is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


GRID = ["brbk7n", "lbax4n", "lwbsza", "pwij3p", "s1_lbaq6p", "sbwe5n", "swiz3n"]


@pytest.mark.parametrize("name", GRID)
def test_real_sentences(real_clips, detector, name):
    frames = read_clip(real_clips / "grid" / f"{name}.mpg").frames[:40]
    mouth = crop_clip(frames, detector, detect_every=1)
    assert mouth.quality["interpolated_frames"] == 0  # a face in every frame
    assert mouth.quality["detector_score"] > 0.95
    # Seen by the detector in the frame itself, unsmoothed, the mouth is in the middle third.
    for t in range(0, 40, 13):
        (face,) = detector.detect(frames[t : t + 1])[0][:1]
        off = (face.landmarks[3:].mean(0) - mouth.landmarks[t, 3:].mean(0)) * mouth.quality["scale"]
        assert np.abs(off).max() < 16
    assert mouth.crops[:, 32:64, 24:72].std() > mouth.crops[:, 32:64, 24:72].std(axis=0).mean() > 1


def test_a_damaged_real_clip_is_cropped_or_refused_with_a_reason(real_clips, tmp_path):
    shutil.copy(real_clips / "grid" / "s1_sgib8n.mpg", tmp_path)
    facts = ("train/a", "grid", "train", "a", "s1_sgib8n.mpg", 75, 25.0, np.nan, np.nan, "s1")
    manifest = manifest_frame([(*facts, "0" * 64, "ok", "")])
    crop_set(manifest, "train", tmp_path, tmp_path / "set")
    with open_crops(tmp_path / "set") as crops:
        reasons = list(read_rejects(tmp_path / "set")["reason"])
        assert len(crops) + len(reasons) == 1 and all(reasons)


def test_real_words_from_layout_to_crops(real_clips, tmp_path):
    root = real_clips / "lrw_layout"
    manifest = lrw.scan(root).iloc[::3]
    crop_set(manifest, "test", root, tmp_path)
    with open_crops(tmp_path) as crops:
        assert crops.read(range(4)).shape == (4, 29, 96, 96)
        assert crops.index["detector_score"].min() > 0.95
        assert crops.index["label"].tolist() == manifest["label"].tolist()
    assert read_rejects(tmp_path).empty
