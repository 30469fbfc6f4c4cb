"""What the stages of aniportrait-small promise: noise and sampler, meshes, network, renderer."""

import math

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.toy_codebook import LOUD_OR_NOT
from tests.helpers.workflow import REPOSITORY

from visemix.config.generators import Aniportrait
from visemix.config.parameters import resolve_parameters
from visemix.generators.aniportrait_small.diffusion import add_noise, sample
from visemix.generators.aniportrait_small.mesh import MouthMesh
from visemix.generators.aniportrait_small.renderer import (
    Renderer,
    load_weights,
    mouth_square,
    write_weights,
)
from visemix.generators.aniportrait_small.unet import UNet
from visemix.heads.still import MOUTH_UNITS

SMALL = Aniportrait(size=16, patch=2, channels=[8, 12], blocks=1, sampling_steps=2)
SOUND = (np.random.default_rng(0).normal(0, 3000, 8 * 640)).astype(np.int16)
TIMES = st.floats(0, 1, width=32)


def renderer(guidance: float = 2.0, eye_to_mouth: float = 64.0) -> Renderer:
    """With a network that does draw something."""
    torch.manual_seed(0)
    network = UNet(SMALL.model_copy(update={"guidance": guidance}))
    torch.nn.init.normal_(network.leave[-1].weight, std=0.3)
    return Renderer(network, MouthMesh(LOUD_OR_NOT, eye_to_mouth), 0.1)


@settings(max_examples=30, deadline=None)
@given(TIMES, st.integers(0, 100))
def test_noise_keeps_the_power_and_replaces_all_of_the_picture_at_the_end(time, seed):
    generator = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn((2, 1, 1, 40, 40), generator=generator, dtype=torch.float64)
    noisy = add_noise(clean, noise, torch.tensor([time], dtype=torch.float64))
    assert noisy.var().item() == pytest.approx(1, abs=0.2)
    at_ends = add_noise(clean, noise, torch.zeros(1)), add_noise(clean, noise, torch.ones(1))
    torch.testing.assert_close(at_ends[0], clean)
    torch.testing.assert_close(at_ends[1], noise, atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 100))
def test_who_always_knows_the_picture_samples_it_and_stays_on_the_way_to_it(steps, seed):
    clean, noise = torch.randn((2, 3, 1, 4, 4), generator=torch.Generator().manual_seed(seed))
    seen = []

    def predict(noisy, times):
        torch.testing.assert_close(noisy, add_noise(clean, noise, times), atol=1e-4, rtol=0)
        seen.append(times[0].item())
        return clean

    torch.testing.assert_close(sample(predict, noise, steps), clean, atol=1e-5, rtol=0)
    assert seen == pytest.approx([1 - i / steps for i in range(steps)], abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 3), st.integers(0, 100))
def test_many_steps_of_the_best_prediction_give_the_spread_of_the_pictures(spread, seed):
    """Of normal pictures the best prediction is known, and DDIM a map between two normals."""
    noise = torch.randn((1, 1, 30, 30), generator=torch.Generator().manual_seed(seed)).double()

    def predict(noisy, times):
        a, s = math.cos(times[0] * math.pi / 2), math.sin(times[0] * math.pi / 2)
        return noisy * a * spread**2 / (a**2 * spread**2 + s**2)

    torch.testing.assert_close(sample(predict, noise, 400), spread * noise, rtol=0.03, atol=0)


def test_a_vowel_opens_the_drawn_mouth_and_silence_leaves_it_at_rest():
    mesh = MouthMesh(LOUD_OR_NOT, 80.0)
    quiet = np.concatenate([SOUND // 50, SOUND])
    moved = mesh.movement(quiet, 16)
    assert moved.shape == (16, len(MOUTH_UNITS))
    jaw = moved[:, MOUTH_UNITS.index("jawOpen")]
    assert jaw[12] > 0.4 > 0.1 > jaw[3]
    drawn = mesh.draw(moved).astype(int)
    assert drawn.shape == (16, 96, 96, 3)
    dark = (drawn[:, 30:70, 20:76].max(-1) < 90).sum((1, 2))
    assert dark[12] > dark[3] + 50
    for silence in (np.zeros(5120, np.int16), np.zeros(0, np.int16)):
        assert not mesh.movement(silence, 8).any()


@pytest.mark.parametrize("config", [
    SMALL, Aniportrait(size=12, patch=1, channels=(4,), blocks=2),
    Aniportrait(size=32, patch=4, channels=(8, 8, 16), blocks=1),
])  # fmt: skip
def test_an_untrained_network_changes_nothing_and_every_part_learns(config):
    network, side = UNet(config), config.size
    inputs = torch.randn(2, 1, side, side), torch.rand(2), torch.randn(2, 1, side, side)
    mesh = torch.randn(2, 3, side, side)
    assert torch.equal(network(*inputs, mesh), torch.zeros(2, 1, side, side))
    torch.nn.init.ones_(network.leave[-1].weight)
    network(*inputs, mesh).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for name, value in network.named_parameters()
               if not name.endswith("bias"))  # fmt: skip
    with torch.no_grad():
        assert not torch.equal(network(*inputs, mesh), network(*inputs, 0 * mesh))


@pytest.mark.parametrize(("wrong", "message"), [
    ({"size": 20, "patch": 4, "channels": (8, 8)}, "size 20 must be a multiple of 8"),
    ({"channels": (8, 10)}, "channels.1\n.*multiple of 4"),
    ({"blocks": 0}, "blocks\n.*greater than or equal to 1"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Aniportrait(**wrong)


@settings(max_examples=30, deadline=None)
@given(st.floats(16, 192))
def test_the_square_lies_within_the_crop_and_holds_the_mouth(eye_to_mouth):
    top, left, side = mouth_square(eye_to_mouth)
    assert 0 <= top <= 48 <= top + side <= 96
    assert left >= 0 and left + side <= 96
    assert left <= max(0, 48 - 0.35 * eye_to_mouth)


def test_only_the_square_around_the_mouth_changes_and_the_seed_decides():
    crop = np.random.default_rng(1).integers(0, 255, (96, 96)).astype(np.uint8)
    draw = renderer()
    made = draw.make(crop[None], SOUND[None], 3)[0]
    assert made.shape == (8, 96, 96) and made.dtype == np.uint8
    top, left, side = mouth_square(64.0)
    inside = np.zeros((96, 96), bool)
    inside[top : top + side, left : left + side] = True
    assert (made[:, ~inside] == crop[~inside]).all()
    assert (made[:, inside] != crop[inside]).mean() > 0.5
    assert np.array_equal(made, draw.make(crop[None], SOUND[None], 3)[0])
    assert not np.array_equal(made, draw.make(crop[None], SOUND[None], 4)[0])


def test_silence_gives_one_still_picture():
    crop = np.full((96, 96), 120, np.uint8)
    made = renderer().make(crop[None], np.zeros((1, 5120), np.int16))[0]
    assert (made == made[0]).all()


def test_guidance_enlarges_what_the_mesh_does():
    crop = np.full((96, 96), 120, np.uint8)
    sound = np.concatenate([SOUND // 50, SOUND])[None]
    movement = [
        renderer(guidance).make(crop[None], sound)[0].astype(float).std(0).sum()
        for guidance in (1.0, 2.0)
    ]
    assert movement[1] > 1.3 * movement[0]


def test_weights_come_back_as_they_were(tmp_path):
    draw = renderer()
    write_weights(tmp_path / "weights.safetensors", draw)
    crop = np.full((1, 96, 96), 120, np.uint8)
    assert np.array_equal(
        load_weights(tmp_path).make(crop, SOUND[None]), draw.make(crop, SOUND[None])
    )
    with pytest.raises(FileNotFoundError, match="train it first"):
        load_weights(tmp_path / "elsewhere")


@pytest.mark.parametrize("scale", ["test", "miniature", "study", "paper"])
def test_the_settings_of_every_scale_fit(scale):
    parameters = yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"scale": scale}
    found = resolve_parameters(parameters)["generators"]["aniportrait"]
    if scale == "paper":
        assert Aniportrait(**found) == Aniportrait()
    for wrong in ({"step": 3}, {"frames": 0}):
        with pytest.raises(ValueError):
            Aniportrait(**found | wrong)
