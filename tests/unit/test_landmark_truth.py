"""RetinaFace's landmarks against the exact truth of the rendered corpus, at rest and in speech."""

import numpy as np
import pytest

from visemix.corpora.miniature import make_corpus
from visemix.faces.alignment import align
from visemix.faces.crops import crop_clip
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip


@pytest.fixture(scope="module")
def detector():
    return RetinaFace()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """(frames, true five points (29, 5, 2) px, whether each frame is at rest) of eight speakers."""
    root = tmp_path_factory.mktemp("corpus")
    make_corpus(root, ["about", "people"], {"train": 4}, seed=5, workers=1)
    result = []
    for path in sorted((root / "lipread_mp4").rglob("*.mp4")):
        truth = np.load(
            (root / "truth" / path.relative_to(root / "lipread_mp4")).with_suffix(".npz")
        )
        frames = read_clip(path).frames
        result.append((frames, truth["five_points"], truth["visemes"] == "sil"))
    return result


@pytest.fixture(scope="module")
def found(clips, detector):
    """Landmarks (29, 5, 2) px of every frame of each clip, as the detector gives them."""
    return [np.array([faces[0].landmarks for faces in detector.detect(c[0])], float) for c in clips]


def medians(values, resting):
    """Median by landmark of values (N, 5), in frames at rest and in frames of speech."""
    return np.median(values[resting], axis=0), np.median(values[~resting], axis=0)


def second_difference(landmarks):
    """Jitter (T - 2, 5) px: how far each point is from the middle between its neighbours, twice."""
    return np.linalg.norm(np.diff(landmarks, 2, axis=0), axis=2)


def test_each_landmark_is_near_its_true_place(clips, found):
    """Median error in px, faces of about 54 px from eyes to mouth; see faces.retinaface."""
    errors = [
        np.linalg.norm(f - truth, axis=2) for f, (_, truth, _) in zip(found, clips, strict=True)
    ]
    rest, speech = medians(np.concatenate(errors), np.concatenate([c[2] for c in clips]))
    limit = np.array([4.5, 3.5, 3.0, 3.0, 3.0])  # eyes, nose, mouth corners
    assert (rest < limit).all() and (speech < limit).all(), (rest, speech)
    assert np.abs(rest - speech).max() < 1  # speech does not throw the detector off


def test_landmarks_hardly_jitter_and_smoothing_takes_it_away(clips, found, detector):
    smoothed = [crop_clip(frames, detector).landmarks for frames, _, _ in clips]
    resting = np.concatenate([c[2][1:-1] for c in clips])
    raw, used, true = (
        medians(np.concatenate([second_difference(x) for x in points]), resting)
        for points in (found, smoothed, [c[1] for c in clips])
    )
    for state in (0, 1):
        assert (raw[state] < 1.5).all() and (used[state] < 0.6).all()
        assert (used[state] < raw[state]).all()
        assert (used[state][:3] < true[state][:3] + 0.25).all()  # a head moves about as much


def test_crops_wander_little_from_where_the_truth_puts_them(clips, detector):
    """Wander is what is left of an offset, roll or size after its mean over the clip is taken."""
    offsets, rolls, sizes = [], [], []
    for frames, truth, _ in clips:
        mouth = crop_clip(frames, detector)
        ours, exact = (align(points, 96, 48.0) for points in (mouth.landmarks, truth))
        off = (mouth.landmarks[:, 3:].mean(1) - truth[:, 3:].mean(1)) * exact.scale[:, None]
        assert np.abs(off).max() < 8  # crop px: the mouth is in the middle third, 16 to each side
        offsets.append(np.linalg.norm(off - off.mean(0), axis=1))
        rolls.append(ours.roll - exact.roll - (ours.roll - exact.roll).mean())
        ratio = np.log(ours.scale / exact.scale)
        sizes.append(ratio - ratio.mean())
    assert np.sqrt(np.mean(np.concatenate(offsets) ** 2)) < 1.5  # crop px
    assert np.concatenate(rolls).std() < 1.0  # degrees
    assert np.concatenate(sizes).std() < 0.025
