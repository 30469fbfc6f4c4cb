"""Turning the head of a clip, against the same clip rendered with its head turned."""

import json

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from visemix.clips.shards import MANIFEST, open_crops, read_rejects
from visemix.config.pose import Pose
from visemix.corpora.lrw import scan
from visemix.corpora.miniature import make_corpus
from visemix.corpora.miniature.clip import make_clip, make_portrait
from visemix.corpora.miniature.speakers import random_speaker
from visemix.faces import detectors
from visemix.faces.crops import CropError, crop_clip, crop_set
from visemix.faces.retinaface import RetinaFace
from visemix.heads.fit import fit_clip, fit_five_points
from visemix.heads.model import FIVE_POINTS, load_head
from visemix.heads.renderer import Renderer
from visemix.heads.turned import draw, prepare_clip, view
from visemix.heads.turned_torch import draw_torch
from visemix.pose.angles import draw_angles
from visemix.pose.clip import crop_turned, turn_clip
from visemix.pose.sheet import write_sheet
from visemix.pose.test_set import pose_set

FRAMES = slice(8, 17, 2)
WIDE = {"eye_to_mouth": 48.0}  # px, for which the limits below were measured
TURNS = [(15, 0), (-30, 0), (45, 0), (0, 15), (0, -30), (0, 45), (30, 30)]


@pytest.fixture(scope="module")
def detector():
    return RetinaFace()


@pytest.fixture(scope="module")
def render():
    """A function (speaker number, yaw, pitch in degrees) -> frames (5, 256, 256, 3)."""
    renderer = Renderer()

    def render(number, yaw=0, pitch=0):
        speaker = random_speaker(np.random.default_rng([810, number]), load_head())
        rng = np.random.default_rng([811, number])
        clip = make_clip(renderer, speaker, "people", rng, turn=tuple(np.radians((yaw, pitch))))
        return clip.frames[FRAMES]

    return render


@pytest.fixture(scope="module")
def clips(render):
    return [render(number) for number in range(4)]


def similarity(a, b):
    a, b = (torch.from_numpy(x)[:, None].float() for x in (a, b))
    return float(structural_similarity_index_measure(a, b, data_range=255.0))


def test_turned_crops_are_nearer_to_the_truth_than_those_of_the_head_as_it_was(
    clips, render, detector
):
    """Up to 45 degrees, mean over four speakers and 5 frames each; benchmarks/ has the table."""
    for yaw, pitch in TURNS:
        turned, still = [], []
        for number, frames in enumerate(clips):
            truth = crop_clip(render(number, yaw, pitch), detector, **WIDE).crops
            made = crop_turned(frames, detector, yaw, pitch, **WIDE).crops
            turned.append(similarity(truth, made))
            still.append(similarity(truth, crop_clip(frames, detector, **WIDE).crops))
        assert np.mean(turned) > np.mean(still) + 0.05, (yaw, pitch, turned, still)


def test_the_pose_of_frontal_faces_is_fitted_within_three_degrees(detector):
    """Mean absolute error of yaw, pitch and roll over twelve stills."""
    renderer, head, errors = Renderer(), load_head(), []
    for number in range(12):
        speaker = random_speaker(np.random.default_rng([812, number]), head)
        rng = np.random.default_rng([813, number])
        picture, truth = make_portrait(renderer, speaker, rng)
        fit = fit_five_points(head, detector.detect(picture[None])[0][0].landmarks)
        errors.append(np.degrees(fit.angles - truth["pose"][0]))
    assert (np.abs(errors).mean(0) < 3).all(), errors


def test_the_pose_of_the_fit_changes_by_the_turn(render, detector):
    """Yaw signs and sizes: the fitted head of a clip that was turned, detected anew."""
    frames = render(1)
    for yaw in (-20, 20):
        turned, _ = turn_clip(frames, crop_clip(frames, detector).landmarks, yaw, 0)
        before, after = (
            np.degrees(fit_five_points(load_head(), detector.detect(f[2:3])[0][0].landmarks).angles)
            for f in (frames, turned)
        )
        assert after[0] - before[0] == pytest.approx(yaw, abs=8)


def test_one_identity_and_a_pose_for_each_frame():
    head = load_head()
    points = np.array([[100, 100], [150, 101], [125, 125], [105, 150], [144, 151]], float)
    clip = points + np.random.default_rng(0).normal(0, 1, (6, 5, 2))
    fits = fit_clip(head, clip)
    assert all(fit.neutral is fits[0].neutral for fit in fits)
    seen = np.stack([fit.project(fit.neutral)[FIVE_POINTS] for fit in fits])
    assert np.abs(seen - clip).max() < 4
    same = fit_clip(head, np.repeat(points[None], 3, 0))
    alone = fit_five_points(head, points)
    assert np.allclose([f.angles for f in same], alone.angles, atol=1e-6)
    larger = fit_five_points(head, points * 3 + 7)  # the fit does not depend on the picture's size
    assert np.allclose(larger.angles, alone.angles, atol=1e-6)
    assert larger.scale == pytest.approx(3 * alone.scale)


def test_a_turn_by_nothing_leaves_mouth_and_background_as_they_were(clips, detector):
    frames = clips[0]
    landmarks = crop_clip(frames, detector).landmarks
    fits = fit_clip(load_head(), landmarks)
    surfaces = prepare_clip(load_head(), fits, 256, 256)
    still = draw(surfaces, view(surfaces, fits[0], 0.0, 0.0), frames[0])
    x, y = landmarks[0, 3:].mean(0).astype(int)
    difference = np.abs(still.astype(int) - frames[0])
    assert difference[y - 15 : y + 15, x - 15 : x + 15].mean() < 3
    assert difference[:40, :40].mean() < 3


def test_far_background_stays_and_nothing_is_left_black(clips, detector):
    frames = clips[0]
    white = np.maximum(frames, 60)
    turned, points = turn_clip(white, crop_clip(frames, detector).landmarks, 60, 30)
    assert turned.min() >= 59
    assert np.abs(turned[:, -20:, :20].astype(int) - white[:, -20:, :20]).mean() < 6
    assert points.shape == (len(frames), 5, 2)


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (60, 0), (-30, 45)])
def test_torch_draws_the_same_pixels(clips, detector, yaw, pitch):
    frames = clips[0]
    fits = fit_clip(load_head(), crop_clip(frames, detector).landmarks)
    surfaces = prepare_clip(load_head(), fits, 256, 256)
    views = [view(surfaces, fit, *np.radians((yaw, pitch))) for fit in fits]
    drawn = np.stack([draw(surfaces, v, f) for v, f in zip(views, frames, strict=True)])
    assert np.array_equal(draw_torch(surfaces, views, frames, "cpu"), drawn)
    if torch.cuda.is_available():
        assert np.array_equal(draw_torch(surfaces, views, frames, "cuda"), drawn)


class Blind:
    """A detector that sees the first clip it is shown, and no face in any other."""

    def __init__(self, detector):
        self.detector, self.seen = detector, None

    def detect(self, frames, *args, **kwargs):
        self.seen = self.seen or np.asarray(frames[0]).tobytes()
        if np.asarray(frames[0]).tobytes() == self.seen:
            return self.detector.detect(frames, *args, **kwargs)
        return [[] for _ in frames]


def test_a_turned_face_that_is_not_found_is_cropped_at_the_fitted_head(clips, detector):
    frames = clips[2]
    frames = np.repeat(frames[:1], 5, 0)  # one picture: Blind knows it again
    found = crop_turned(frames, detector, 30, 0, **WIDE)
    lost = crop_turned(frames, Blind(detector), 30, 0, **WIDE)
    assert (found.quality["projected"], lost.quality["projected"]) == (0, 1)
    assert lost.quality.keys() == found.quality.keys()
    assert similarity(found.crops, lost.crops) > 0.5
    with pytest.raises(CropError):  # no face before turning: nothing to fit
        crop_turned(np.zeros_like(frames), detector, 30, 0)


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("pose")
    make_corpus(root, ["about", "people"], {"test": 3}, seed=3, workers=1)
    broken = root / "lipread_mp4/PEOPLE/test/PEOPLE_00003.mp4"
    broken.write_bytes(broken.read_bytes()[:2000])
    return root, scan(root)


def test_the_set_has_every_clip_with_its_angles_and_untouched_ones_as_they_were(
    small_corpus, tmp_path
):
    root, manifest = small_corpus
    drawn = draw_angles(manifest, Pose(angles=[15, 30], untouched_proportion=0.5))
    pose_set(drawn, root, tmp_path / "pose")
    crop_set(manifest, "test", root, tmp_path / "plain")
    plain = open_crops(tmp_path / "plain")
    with open_crops(tmp_path / "pose") as crops:
        index = crops.index.set_index("clip_id")
        rejects = read_rejects(tmp_path / "pose")
        assert {*index.index, *rejects.clip_id} == set(manifest.clip_id)
        assert rejects.clip_id.tolist() == ["test/PEOPLE_00003"]
        speakers = manifest.set_index("clip_id").speaker
        assert rejects.speaker.tolist() == speakers[rejects.clip_id].tolist() != [""]
        expected = drawn.set_index("clip_id").loc[index.index, ["yaw", "pitch"]]
        assert index[["yaw", "pitch"]].equals(expected)
        assert index.label.tolist() == plain.index.label.tolist()
        for row, (yaw, pitch) in enumerate(expected.to_numpy()):
            same = np.array_equal(crops.read([row])[0], plain.read([row])[0])
            assert same == (yaw == pitch == 0)


def test_the_set_says_what_drew_it_and_takes_over_no_shard_of_another_device(
    small_corpus, tmp_path
):
    """'cpu' is drawn by numba, 'cpu:0' by torch, as a GPU is."""
    root, manifest = small_corpus
    drawn = draw_angles(manifest.iloc[:1], Pose(angles=[15, 30], untouched_proportion=0.0))
    kept = {}
    for device in ("cpu", "cpu:0"):
        pose_set(drawn, root, tmp_path, device=device)
        facts = json.loads((tmp_path / MANIFEST).read_text())
        assert facts["parameters"]["drawn_on"] == device
        kept[device] = (tmp_path / facts["shards"][0]["file"]).stat().st_mtime_ns
        with open_crops(tmp_path) as crops:
            kept[f"{device} pixels"] = crops.read(range(len(crops)))
    assert kept["cpu"] != kept["cpu:0"]
    assert np.array_equal(kept["cpu pixels"], kept["cpu:0 pixels"])


def test_no_gpu_is_opened_for_drawing_where_the_detector_needs_none(
    small_corpus, tmp_path, monkeypatch
):
    """Each of many processes would have a CUDA context of its own; here there may be no GPU."""
    monkeypatch.setattr(detectors, "default_providers", lambda: ["CPUExecutionProvider"])
    root, manifest = small_corpus
    drawn = draw_angles(manifest.iloc[:1], Pose(angles=[15, 30], untouched_proportion=0.0))
    pose_set(drawn, root, tmp_path, device="cuda")
    assert json.loads((tmp_path / MANIFEST).read_text())["parameters"]["drawn_on"] == "cpu"


def test_a_fixed_crop_still_turns_the_head(clips, detector):
    frames = clips[0]
    fixed = crop_turned(frames, detector, 30, 0, alignment="fixed")
    still = crop_turned(frames, detector, 0, 0, alignment="fixed")
    assert fixed.quality.keys() == still.quality.keys()
    assert not np.array_equal(fixed.crops, still.crops)


def test_the_sheet_is_written_and_passes_over_clips_without_a_face(small_corpus, tmp_path):
    root, manifest = small_corpus
    manifest = manifest.sort_values("clip_id", ascending=False)  # the broken clip comes first
    write_sheet(tmp_path / "sheet.png", manifest, root, (30, 60), clips=1)

    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (5 * (18 + 128), 3 * (128 + 104), 3)
    with pytest.raises(ValueError, match="no clip"):
        write_sheet(tmp_path / "none.png", manifest.assign(split="train"), root, (30,))
