import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.faces.detection import Face
from visemix.faces.face_tracks import (
    CropError,
    Track,
    choose_speaker,
    fill_gaps,
    follow_faces,
    moves_slowly,
    require_frames,
    smooth,
)

POINTS = np.array([[-20, -25], [20, -25], [0, 0], [-15, 25], [15, 25]], float)


def face(x, y, width=80.0, score=0.99):
    half = np.array([width / 2, width * 0.7])
    centre = np.array([x, y], float)
    return Face(score, np.concatenate([centre - half, centre + half]), centre + POINTS * width / 80)


def test_faces_are_joined_by_overlap_whatever_their_order():
    detections = [
        (t, [face(60 + t, 128), face(200 - t, 128)][:: 1 if t % 2 else -1]) for t in range(10)
    ]
    tracks = follow_faces(detections)
    assert [track.frames for track in tracks] == [list(range(10))] * 2
    starts = sorted(track.landmarks()[0, 2, 0] for track in tracks)
    ends = sorted(track.landmarks()[-1, 2, 0] for track in tracks)
    assert (starts, ends) == ([60, 200], [69, 191])


def test_a_track_outlives_a_gap_but_not_a_jump():
    gap = [(t, [] if 3 <= t < 6 else [face(128, 128)]) for t in range(9)]
    assert [track.frames for track in follow_faces(gap)] == [[0, 1, 2, 6, 7, 8]]
    jump = [(t, [face(60 if t < 5 else 200, 128)]) for t in range(9)]
    assert [track.frames for track in follow_faces(jump)] == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]


def test_no_faces_no_tracks():
    assert follow_faces([(0, []), (1, [])]) == []
    assert choose_speaker([], 256, 256) == Track()


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (face(30, 128), 9),  # as large, but at the edge
        (face(128, 128, 40), 9),  # as central, but small
        (face(190, 128, 120), 2),  # larger, but there for two frames only
        (face(15, 15, 110), 9),  # larger, but in the corner
    ],
)
def test_the_speaker_is_large_central_and_there_all_the_time(other, count):
    speaker = [face(128, 128)] * 9
    tracks = [Track(list(range(count)), [other] * count), Track(list(range(9)), speaker)]
    assert choose_speaker(tracks, 256, 256) is tracks[1]
    assert choose_speaker(tracks[::-1], 256, 256) is tracks[1]


def test_fast_faces_are_distinguished_from_slow_ones():
    def track(step):
        return Track([0, 2, 4], [face(100 + step * i, 128) for i in range(3)])

    assert moves_slowly(track(7)) and not moves_slowly(track(9))  # a face is 80 px wide
    assert moves_slowly(Track()) and moves_slowly(Track([0], [face(1, 1)]))


def test_too_many_missing_frames_are_an_error_with_their_number():
    track = Track(list(range(22)), [face(128, 128)] * 22)
    require_frames(track, 29, 0.25)
    with pytest.raises(CropError, match=r"face found in only 22 of 29 frames .*20%"):
        require_frames(track, 29, 0.2)
    with pytest.raises(CropError, match="only 0 of 29"):
        require_frames(Track(), 29, 1.0)


def test_gaps_are_interpolated_and_ends_replicated():
    track = Track([2, 3, 7], [face(10, 50), face(20, 50), face(60, 90)])
    filled = fill_gaps(track, 10)
    x, y = filled[:, 2].T
    known = track.frames
    assert x[known].tolist() == track.landmarks()[:, 2, 0].tolist()
    assert set(x[: known[0]]) <= {x[known[0]]} and set(x[known[-1] :]) == {x[known[-1]]}
    for start, end in itertools.pairwise(known):  # no overshoot
        for path in (x, y):
            assert (np.diff(path[start : end + 1]) >= 0).all()
    assert filled.shape == (10, 5, 2)


@given(
    path=st.lists(st.floats(-100, 100), min_size=1, max_size=8),
    first=st.integers(0, 4), step=st.integers(1, 4),
)  # fmt: skip
def test_gaps_neither_overshoot_nor_miss_what_is_known(path, first, step):
    frames = [first + step * n for n in range(len(path))]
    filled = fill_gaps(Track(frames, [face(x, 0) for x in path]), frames[-1] + 3)[:, 2, 0]
    np.testing.assert_allclose(filled[frames], path, atol=1e-4)
    for n, (a, b) in enumerate(itertools.pairwise(path)):
        between = filled[frames[n] : frames[n + 1] + 1]
        assert between.min() >= min(a, b) - 1e-3 and between.max() <= max(a, b) + 1e-3
    assert (filled[:first] == filled[first]).all() and (filled[-3:] == filled[frames[-1]]).all()


def test_even_movement_is_filled_exactly():
    frames = [0, 3, 6, 9, 11]
    filled = fill_gaps(Track(frames, [face(2.0 * n, 5) for n in frames]), 12)
    np.testing.assert_allclose(filled[:, 2, 0], 2.0 * np.arange(12), atol=1e-5)


@given(
    start=st.floats(-100, 100), speed=st.floats(-5, 5),
    total=st.integers(1, 30), half=st.integers(0, 8),
)  # fmt: skip
def test_smoothing_leaves_even_movement_alone(start, speed, total, half):
    path = start + speed * np.arange(total)[:, None, None] * np.ones((1, 5, 2))
    np.testing.assert_allclose(smooth(path, 2 * half + 1), path, atol=1e-9)


def test_smoothing_averages_a_centred_window():
    path = np.array([0.0, 0, 0, 5, 0, 0, 0])
    assert smooth(path, 5).tolist() == pytest.approx([0, 0, 1, 1, 1, 0, 0])
    assert smooth(path, 1).tolist() == path.tolist()
    noise = np.random.default_rng(0).normal(size=(200, 5, 2))
    assert smooth(noise, 5).std() < 0.5


@pytest.mark.parametrize("window", [0, 4, -1])
def test_windows_without_a_middle_are_refused(window):
    with pytest.raises(ValueError, match="odd"):
        smooth(np.zeros((5, 5, 2)), window)
