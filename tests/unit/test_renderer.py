"""What is drawn: the right things in the right places, the same every time."""

import numpy as np
import pytest

from visemix.corpora.miniature.speakers import random_speaker
from visemix.heads.appearance import random_background, random_light
from visemix.heads.model import FIVE_POINTS
from visemix.heads.renderer import Renderer

SIZE = 128


@pytest.fixture(scope="module")
def renderer():
    return Renderer()


def draw(renderer, seed=0, units=None, pose=(0, 0, 0), frames=1, size=SIZE, noise=0.0):
    rng = np.random.default_rng(seed)
    speaker = random_speaker(rng, renderer.head)
    weights = np.zeros((frames, len(renderer.head.unit_names)))
    for name, value in (units or {}).items():
        weights[:, renderer.head.unit(name)] = value
    return renderer.render(
        renderer.person(speaker.identity, speaker.look),
        weights,
        np.tile(pose, (frames, 1)),
        random_light(rng),
        random_background(rng, size),
        np.zeros((frames, 2)),
        scale=72 * size / 256,
        noise=noise,
        noise_seed=seed,
    )


def mouth_patch(frame, xy):
    x, y = xy[FIVE_POINTS[3:]].mean(0).astype(int)
    return frame[y - 10 : y + 12, x - 12 : x + 12].astype(float)


def test_frames_are_bytes_and_landmarks_lie_on_the_face(renderer):
    frames, xy = draw(renderer, frames=2)
    assert frames.shape == (2, SIZE, SIZE, 3) and frames.dtype == np.uint8
    assert xy.shape == (2, len(renderer.head.rest), 2)
    points = xy[:, FIVE_POINTS]
    assert (points > SIZE * 0.2).all() and (points < SIZE * 0.8).all()
    np.testing.assert_array_equal(frames[0], frames[1])  # same pose, same picture


def test_equal_seeds_give_equal_pictures_and_others_do_not(renderer):
    again = Renderer(renderer.head)
    a, b = draw(renderer, noise=0.01)[0], draw(again, noise=0.01)[0]
    np.testing.assert_array_equal(a, b)
    assert (draw(renderer, seed=1)[0] != draw(renderer, seed=2)[0]).mean() > 0.5


def test_noise_is_of_the_asked_size_and_changes_from_frame_to_frame(renderer):
    clean, _ = draw(renderer, frames=2)
    noisy, _ = draw(renderer, frames=2, noise=0.02)
    difference = noisy.astype(float) - clean
    assert difference.std() == pytest.approx(255 * 0.02, rel=0.15)
    assert (noisy[0] != noisy[1]).mean() > 0.5


def test_an_open_mouth_changes_the_mouth_and_not_the_eyes(renderer):
    (closed,), (xy,) = draw(renderer)
    (opened,), _ = draw(renderer, units={"jawOpen": 0.7})
    change = np.abs(mouth_patch(closed, xy) - mouth_patch(opened, xy)).mean()
    assert change > 8
    eyes = slice(*(xy[FIVE_POINTS[:2], 1].mean() + np.array([-8, 4])).astype(int))
    assert np.abs(closed[eyes].astype(float) - opened[eyes]).mean() < 0.2


def test_blinking_changes_the_eyes_and_not_the_mouth(renderer):
    (open_eyes,), (xy,) = draw(renderer)
    (shut,), _ = draw(renderer, units={"eyeBlinkLeft": 1, "eyeBlinkRight": 1})
    np.testing.assert_array_equal(mouth_patch(open_eyes, xy), mouth_patch(shut, xy))
    x, y = xy[FIVE_POINTS[0]].astype(int)
    assert np.abs(open_eyes[y - 3 : y + 4, x - 5 : x + 6].astype(float)
                  - shut[y - 3 : y + 4, x - 5 : x + 6]).mean() > 8  # fmt: skip


def test_a_closed_mouth_shows_no_teeth(renderer):
    """Light between the lips is little when they touch, and full when they are apart."""
    head = renderer.head
    speaker = random_speaker(np.random.default_rng(0), head)
    person = renderer.person(speaker.identity, speaker.look)
    weights = np.zeros((2, len(head.unit_names)))
    weights[1, head.unit("jawOpen")] = 0.6
    view = (np.zeros((2, 2)), 72.0, np.full((2, 2), 64.0))
    placed = renderer.place(person, weights, np.zeros((2, 3)), *view)
    assert placed.inside[0] < 0.2 and placed.inside[1] == pytest.approx(1)


def test_supersampling_agrees_with_a_larger_picture(renderer):
    """A picture of half the size is the large one made small, but for fine grain."""
    small, large = draw(renderer, size=96)[0][0], draw(renderer, size=192)[0][0]
    shrunk = large.reshape(96, 2, 96, 2, 3).mean((1, 3))
    head_part = np.s_[20:80, 25:70]
    assert np.abs(shrunk[head_part] - small[head_part]).mean() < 6
