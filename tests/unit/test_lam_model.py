"""The networks and losses of LAM: what goes in, what comes out, and what reaches what."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.clips.augmentation import centre_crop, centre_crop_unit
from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.lam import losses
from visemix.generators.lam.discriminators import ImageDiscriminator, SequenceDiscriminator
from visemix.generators.lam.model import Lam, ModulatedConvolution, warp
from visemix.generators.lam.weights import Animator, load_weights, speech

SMALL = sections.Lam(
    channels=(8, 8, 6, 4), image_code=5, speech_code=6, rotation_code=3, speech_channels=6,
    speech_layers=2, discriminator_channels=4,
)  # fmt: skip
WARPING = SMALL.model_copy(update={"warp": True})


def network(config: sections.Lam = SMALL, seed: int = 0) -> Lam:
    """A network that does something: untrained, its output layers are zero."""
    torch.manual_seed(seed)
    made = Lam(config)
    for layer in made.decoder.out:
        torch.nn.init.normal_(layer.weight, std=0.1)
    return made.eval()


def inputs(batch: int = 2, frames: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(batch, 96, 96, generator=generator) * 2 - 1
    windows = torch.randn(batch, frames, 80, 16, generator=generator)
    turned = torch.matrix_exp(_skew(torch.randn(batch, frames, 3, generator=generator) * 0.2))
    return first, windows, turned


def _skew(v: torch.Tensor) -> torch.Tensor:
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3))


@pytest.mark.parametrize("warped", [False, True])
@pytest.mark.parametrize("channels", [(8,), (8, 6), (8, 8, 6, 4), (8, 8, 6, 4, 4)])
def test_clips_have_the_shape_of_what_drives_them(channels, warped):
    config = SMALL.model_copy(update={"channels": channels, "warp": warped})
    first, windows, turned = inputs()
    clips = network(config)(first, windows, turned)
    assert clips.shape == (2, 4, 96, 96)
    assert clips.isfinite().all()
    assert clips.std((0, 1)).min() > 0  # every pixel can change


def test_the_defaults_are_the_full_size():
    # On the meta device nothing is computed: the shapes are those of the full network.
    with torch.device("meta"):
        made = Lam(sections.Lam())
        clips = made(torch.empty(1, 96, 96), torch.empty(1, 2, 80, 16))
    assert clips.shape == (1, 2, 96, 96)
    assert sum(p.numel() for p in made.parameters()) > 2e7


@pytest.mark.parametrize("config", [SMALL, WARPING])
def test_untrained_it_repeats_the_first_frame(config):
    first, windows, turned = inputs()
    torch.manual_seed(0)
    assert torch.equal(Lam(config)(first, windows, turned), first[:, None].expand(-1, 4, -1, -1))


@settings(deadline=None, max_examples=30)
@given(st.integers(-12, 12), st.integers(-12, 12), st.booleans())
def test_a_warped_picture_is_the_one_moved_whose_edge_goes_on(right, down, half):
    pictures = torch.rand(2, 9, 10, generator=torch.Generator().manual_seed(0))
    shifts = torch.tensor([right + half * 0.5, float(down)]).view(1, 2, 1, 1).expand(2, 2, 9, 10)
    wide = F.pad(pictures, (13, 13, 13, 13), mode="replicate")
    moved = wide[:, 13 + down :, 13 + right :][:, :9, :10]
    if half:
        moved = (moved + wide[:, 13 + down :, 14 + right :][:, :9, :10]) / 2
    torch.testing.assert_close(warp(pictures, shifts), moved)


def test_the_gradient_of_a_warp_is_that_of_its_values():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(1, 6, 6, generator=generator, dtype=torch.float64)
    shifts = torch.rand(1, 2, 6, 6, generator=generator, dtype=torch.float64) * 0.8 + 0.1
    assert torch.autograd.gradcheck(partial(warp, pictures), shifts.requires_grad_())


@pytest.mark.parametrize("config", [SMALL, WARPING])
def test_frames_that_are_drawn_alone_are_those_of_the_whole_clip(config):
    first, windows, turned = inputs()
    made = network(config)
    whole = made(first, windows, turned)
    alone = made(first, windows, turned, torch.tensor([[3, 1], [0, 2]]))
    expected = torch.stack((whole[0, [3, 1]], whole[1, [0, 2]]))
    torch.testing.assert_close(alone, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("config", [SMALL, WARPING])
def test_sound_rotation_and_picture_all_reach_the_clip_and_gradients_every_part(config):
    first, windows, turned = (value.requires_grad_() for value in inputs())
    made = network(config)
    change = made(first, windows, turned) - first[:, None]
    (change * torch.randn_like(change)).sum().backward()
    for value in (windows, turned):
        assert value.grad.abs().amax(tuple(range(2, value.ndim))).min() > 0  # each frame's own
    assert first.grad.abs().sum() > 0
    for name, value in made.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


def test_a_still_head_is_the_identity():
    first, windows, _ = inputs()
    still = torch.eye(3).expand(2, 4, 3, 3)
    made = network()
    assert torch.equal(made(first, windows, still), made(first, windows))


def test_a_frame_is_driven_by_its_window_and_those_before_it():
    first, windows, turned = inputs()
    made = network()
    before = made(first, windows, turned)
    windows[:, 2] += 1
    after = made(first, windows, turned)
    changed = (before != after).flatten(2).any(2)
    assert changed.tolist() == [[False, False, True, True]] * 2


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3]), st.booleans()
)
def test_modulated_convolution_is_the_one_with_a_kernel_for_each_sample(
    n, a, b, kernel, demodulate
):
    torch.manual_seed(n + 10 * a + 100 * b)
    layer = ModulatedConvolution(a, b, kernel, 7, demodulate).double()
    torch.nn.init.normal_(layer.bias)
    x, codes = torch.randn(n, a, 6, 6).double(), torch.randn(n, 7).double()
    expected = []
    for sample, code in zip(x, codes, strict=True):
        scale = layer.scale.weight @ code + layer.scale.bias  # equation 1
        weight = layer.weight * scale[None, :, None, None]
        if demodulate:  # equation 3
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        expected.append(F.conv2d(sample[None], weight, layer.bias, padding=kernel // 2)[0])
    torch.testing.assert_close(layer(x, codes), torch.stack(expected))


def test_demodulated_outputs_keep_unit_variance_whatever_the_scale():
    torch.manual_seed(0)
    layer, codes = ModulatedConvolution(64, 64, 3, 4), torch.randn(3, 4)
    x = torch.randn(3, 64, 32, 32)
    for factor in (0.1, 10):
        layer.scale.weight.data.mul_(factor)
        layer.scale.bias.data.mul_(factor)
        inner = layer(x, codes)[..., 1:-1, 1:-1]
        assert inner.var((1, 2, 3)).tolist() == pytest.approx([1, 1, 1], rel=0.1)


def test_the_frame_discriminator_sees_the_first_frame_and_the_other_the_order_of_frames():
    torch.manual_seed(0)
    image, sequence = ImageDiscriminator(4), SequenceDiscriminator(4)
    clips = torch.rand(2, 5, 96, 96)
    frames, first = clips[:, 3], clips[:, 0]
    assert image(frames, first).shape == (2,)
    assert not torch.equal(image(frames, first), image(first, frames))
    assert not torch.equal(image(frames, first), image(frames, first.flip(0)))
    assert sequence(clips).shape == (2,)
    assert not torch.allclose(sequence(clips), sequence(clips.flip(1)), atol=1e-6)


def test_adversarial_losses_fall_as_their_side_wins():
    real, made = torch.tensor([2.0, 3.0]), torch.tensor([-2.0, -1.0])
    assert losses.discriminator_loss(real, made) < losses.discriminator_loss(made, real)
    assert losses.adversarial_loss(real) < losses.adversarial_loss(made)
    undecided = torch.zeros(2)
    assert losses.discriminator_loss(undecided, undecided).item() == pytest.approx(2 * np.log(2))


@pytest.mark.parametrize("sound", ["silence", "full scale", "noise"])
@pytest.mark.parametrize("frames", [1, 2, 5])
def test_any_sound_of_any_length_gives_as_many_frames_and_no_nan(sound, frames):
    rng = np.random.default_rng(0)
    levels = {"silence": 0, "full scale": 32767, "noise": rng.integers(-3000, 3000, frames * 640)}
    sounds = np.broadcast_to(np.asarray(levels[sound], np.int16), (1, frames * 640))
    first = rng.integers(0, 256, (1, 96, 96), dtype=np.uint8)
    assert np.isfinite(speech(sounds)).all()
    animator = Animator(network(), 64.0)
    crops = animator.make(first, sounds)
    assert crops.shape == (1, frames, 96, 96)
    assert crops.dtype == np.uint8
    assert np.array_equal(crops, animator.make(first, sounds))
    with torch.inference_mode():
        windows = torch.from_numpy(speech(sounds))
        assert animator.network(torch.zeros(1, 96, 96), windows).isfinite().all()


def test_a_window_lies_around_its_frame():
    sounds = np.zeros((1, 20 * 640), np.int16)
    sounds[0, 10 * 640 : 11 * 640] = 8000 * (-1) ** np.arange(640)  # all of it in frame 10
    loud = (speech(sounds)[0] > -1).any((1, 2))
    # 100 ms before and after its middle, and the 25 ms that a column of the spectrogram reaches out
    assert np.flatnonzero(loud).tolist() == [7, 8, 9, 10, 11, 12, 13]


def test_weights_come_back_as_they_were(tmp_path):
    made = network()
    trained.write_weights(
        tmp_path / "weights.safetensors", made, eye_to_mouth=72.0, alignment="fixed"
    )
    again = load_weights(tmp_path)
    assert again.eye_to_mouth == 72.0
    first, windows, turned = inputs()
    assert torch.equal(again.network(first, windows, turned), made(first, windows, turned))
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_weights(tmp_path / "nowhere")


@pytest.mark.parametrize("mean_frame", [False, True])
@pytest.mark.parametrize("size", [28, 88])
def test_the_lip_readers_input_is_that_of_its_evaluation(mean_frame, size):
    clips = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8)
    unit = (clips.double() / 255).float().requires_grad_()
    made = centre_crop_unit(unit, mean_frame, size)
    torch.testing.assert_close(made, centre_crop(clips, mean_frame, size), atol=1e-4, rtol=0)
    made.square().sum().backward()
    assert unit.grad[:, :, 4:92, 4:92].abs().min() >= 0
    assert unit.grad[:, :, :4].abs().max() == 0  # outside of the crop


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="channels"):
        sections.Lam(channels=(8,) * 6)
    with pytest.raises(ValueError, match="speech_code"):
        sections.Lam(speech_code=0)
