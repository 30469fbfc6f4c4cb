from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.toy_clips import clips_of

from visemix.clips.augmentation import (
    MEAN,
    STD,
    Draw,
    augment,
    centre_crop,
    draw,
    mix,
    smoothed_targets,
    tensors_of,
)
from visemix.config.training import Training

TRAINING = Training()


def normalised(grey: torch.Tensor) -> torch.Tensor:
    """Network input of grey levels in [0, 1]."""
    return (grey - MEAN) / STD


def quiet(batch, **changes) -> Draw:
    """A draw that changes nothing but what is given."""
    zeros, ones = np.zeros(batch, np.int64), np.ones(batch, np.float32)
    drawn = Draw(zeros, zeros, zeros > 0, ones, ones, zeros, zeros, np.arange(batch), 1.0)
    return replace(drawn, **changes)


def test_crop_and_flip_are_exact_pixels():
    clips = clips_of(3)
    drawn = quiet(
        3,
        top=np.array([0, 3, 8]),
        left=np.array([8, 5, 0]),
        flip=np.array([False, True, True]),
    )
    found = augment(clips, drawn, False)
    for b, (top, left, flip) in enumerate([(0, 8, False), (3, 5, True), (8, 0, True)]):
        expected = clips[b, :, top : top + 88, left : left + 88].float() / 255
        expected = expected.flip(-1) if flip else expected
        torch.testing.assert_close(found[b], normalised(expected), rtol=0, atol=1e-5)


def test_evaluation_takes_the_centre():
    clips = clips_of(2)
    found = centre_crop(clips, False)
    expected = normalised(clips[:, :, 4:92, 4:92].float() / 255)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [44, 22, 11])
def test_whole_reductions_average_blocks(size):
    clips = clips_of(2)
    expected = F.avg_pool2d(clips[:, :, 4:92, 4:92].float() / 255, 88 // size)
    found = centre_crop(clips, False, size)
    torch.testing.assert_close(found, normalised(expected), rtol=0, atol=1e-4)


@given(st.integers(1, 88))
def test_any_reduction_keeps_the_mean_grey_and_constant_clips(size):
    clips = clips_of(1, frames=2)
    expected = clips[:, :, 4:92, 4:92].float().mean((2, 3)) / 255
    found = centre_crop(clips, False, size)
    torch.testing.assert_close(found.mean((2, 3)), normalised(expected), rtol=0, atol=1e-3)
    flat = centre_crop(torch.full_like(clips, 51), False, size)
    expected = normalised(torch.full_like(flat, 0.2))
    torch.testing.assert_close(flat, expected, rtol=0, atol=1e-4)


def test_brightness_and_contrast_follow_their_definition():
    clips = clips_of(2)
    brightness, contrast = np.float32([0.8, 1.1]), np.float32([1.2, 0.7])
    found = augment(clips, quiet(2, brightness=brightness, contrast=contrast), False)
    for b in range(2):
        x = clips[b, :, :88, :88].double() / 255
        x = brightness[b] * (contrast[b] * x + (1 - contrast[b]) * x.mean())
        expected = normalised(x).float()
        torch.testing.assert_close(found[b], expected, rtol=0, atol=1e-4)


def test_masked_frames_hold_the_clip_mean_and_others_stay():
    clips = clips_of(2)
    drawn = quiet(2, mask_start=np.array([2, 0]), mask_stop=np.array([5, 0]))
    found, unmasked = augment(clips, drawn, False), augment(clips, quiet(2), False)
    mean = unmasked[0].mean().item()
    torch.testing.assert_close(found[0, 2:5], torch.full((3, 88, 88), mean), rtol=0, atol=1e-4)
    assert torch.equal(found[0, :2], unmasked[0, :2])
    assert torch.equal(found[0, 5:], unmasked[0, 5:])
    assert torch.equal(found[1], unmasked[1])


def test_without_the_mean_frame_only_movement_is_left():
    still = clips_of(2, frames=1).expand(2, 7, 96, 96).contiguous()
    torch.testing.assert_close(centre_crop(still, True), torch.zeros(2, 7, 88, 88))
    clips = clips_of(2)
    drawn = quiet(2, brightness=np.array([1.1, 0.9], np.float32), mask_stop=np.array([2, 0]))
    found = augment(clips, drawn, True)
    assert found[0, :2].abs().max() < 1e-6  # masked frames: the mean of what moves
    grey = clips[1, :, :88, :88].float() / 255
    torch.testing.assert_close(found[1], 0.9 * (grey - grey.mean(0)) / STD, rtol=0, atol=1e-5)


def test_mask_statistics_are_those_of_the_published_code():
    drawn = draw(TRAINING, seed=0, step=0, shape=(40_000, 29, 96))
    length = drawn.mask_stop - drawn.mask_start
    assert length.max() == 14
    assert (length == 0).mean() == pytest.approx(1 - (14 / 15) ** 2, abs=0.01)  # m = 0 or w = 0
    assert drawn.mask_stop.max() <= 29
    assert length.mean() == pytest.approx(6.3, abs=0.15)


@given(st.integers(0, 2**40), st.integers(0, 10**7), st.integers(1, 12), st.integers(1, 40))
def test_draws_stay_in_range_and_depend_on_seed_and_step_alone(seed, step, batch, frames):
    drawn = draw(TRAINING, seed, step, (batch, frames, 96))
    again = draw(TRAINING, seed, step, (batch, frames, 96))
    for name, value in vars(drawn).items():
        assert np.array_equal(value, getattr(again, name))
    for corner in (drawn.top, drawn.left):
        assert corner.min() >= 0
        assert corner.max() <= 8
    assert (drawn.mask_start >= 0).all()
    assert (drawn.mask_start <= drawn.mask_stop).all()
    assert (drawn.mask_stop <= frames).all()
    assert sorted(drawn.partner) == list(range(batch))
    assert 0 <= drawn.own_weight <= 1


def test_all_crop_corners_and_both_flips_come_up():
    drawn = draw(TRAINING, 0, 0, (2000, 29, 96))
    assert set(drawn.top) == set(drawn.left) == set(range(9))
    assert drawn.flip.mean() == pytest.approx(0.5, abs=0.05)
    assert draw(TRAINING, 0, 1, (8, 29, 96)).own_weight != drawn.own_weight


def test_mixup_mixes_frames_and_targets_with_one_weight():
    clips, partner = clips_of(3), np.array([2, 0, 1])
    mixed = augment(clips, quiet(3, partner=partner, own_weight=0.3), False)
    plain = augment(clips, quiet(3), False)
    expected = 0.3 * plain + 0.7 * plain[partner]
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-5)
    targets = torch.eye(3)
    expected = 0.3 * targets + 0.7 * targets[partner]
    torch.testing.assert_close(mix(targets, quiet(3, partner=partner, own_weight=0.3)), expected)
    assert draw(Training(mixup=0.0), 0, 0, (3, 9, 96)).own_weight == 1.0


def test_smoothed_targets_are_distributions():
    targets = smoothed_targets(torch.tensor([2, 0]), 4, 0.1)
    torch.testing.assert_close(targets.sum(1), torch.ones(2))
    torch.testing.assert_close(targets[0], torch.tensor([0.025, 0.025, 0.925, 0.025]))
    assert torch.equal(smoothed_targets(torch.tensor([1]), 3, 0.0), torch.eye(3)[1:2])


def test_an_input_larger_than_the_crop_is_refused():
    with pytest.raises(ValueError, match="input_size"):
        centre_crop(clips_of(1), False, 89)


@pytest.mark.parametrize("size", [88, 32])
def test_tensors_that_were_made_before_change_nothing(size):
    clips = clips_of(6)
    values = torch.randn(6, 5)
    plain = draw(TRAINING, 0, 3, clips.shape[:3])
    ready = replace(plain, tensors=tensors_of(plain, 96, size))
    assert torch.equal(augment(clips, plain, False, size), augment(clips, ready, False, size))
    assert torch.equal(mix(values, plain), mix(values, ready))


def test_a_draw_with_its_tensors_is_used_as_it_is():
    """So that nothing is copied to the device again: other tensors give another result."""
    clips = clips_of(2)
    plain = quiet(2, own_weight=0.3, partner=np.array([1, 0]))
    other = quiet(2, top=np.array([8, 8]), own_weight=0.3)
    ready = replace(plain, tensors=tensors_of(other, 96))
    assert torch.equal(augment(clips, ready, False), augment(clips, other, False))
