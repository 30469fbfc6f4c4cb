"""Trained generators work on the device that they are given, and draw several clips together."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.helpers.toy_codebook import LOUD_OR_NOT
from tests.helpers.toy_talkers import ToyTalkers

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.aniportrait_small import renderer
from visemix.generators.aniportrait_small.mesh import MouthMesh
from visemix.generators.aniportrait_small.unet import UNet
from visemix.generators.base import FRAMES_AT_ONCE, WEIGHTS, Utterance, generator_class
from visemix.generators.crop_space import CropPortrait
from visemix.generators.lam.model import Lam
from visemix.generators.wav2lip.model import Generator
from visemix.run import gpus
from visemix.synthesis.build import drawn_together

FRAMES = 29
GENERATORS = {name: generator_class(name) for name in ("lam", "wav2lip", "aniportrait-small")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Weights of each generator that draw something, without a training."""
    base = tmp_path_factory.mktemp("weights")
    for name in GENERATORS:
        (base / name).mkdir()
    torch.manual_seed(0)
    settings = sections.Lam(
        channels=[12, 8], image_code=4, speech_code=12, rotation_code=2, speech_channels=12,
        speech_layers=1, discriminator_channels=2,
    )  # fmt: skip
    network = Lam(settings)
    for layer in network.decoder.out:
        torch.nn.init.normal_(layer.weight, std=0.1)
    facts = {"eye_to_mouth": 64.0, "alignment": "retinaface"}
    trained.write_weights(base / "lam" / WEIGHTS, network, **facts)
    generator = Generator(sections.Wav2Lip(size=24, width=2))
    with torch.no_grad():
        for _ in range(30):  # statistics for its normalisation
            generator.train()(torch.randn(8, 1, 80, 16), torch.rand(8, 2, 24, 24))
    torch.nn.init.normal_(generator.head[-1].weight, std=2.0)
    trained.write_weights(base / "wav2lip" / WEIGHTS, generator, **facts)
    settings = sections.Aniportrait(
        size=16, patch=2, channels=[8, 12], blocks=1, sampling_steps=2, guidance=2.0
    )
    unet = UNet(settings)
    torch.nn.init.normal_(unet.leave[-1].weight, std=0.3)
    drawing = renderer.Renderer(unet, MouthMesh(LOUD_OR_NOT, 64.0), 0.1)
    renderer.write_weights(base / "aniportrait-small" / WEIGHTS, drawing)
    return base


def network_of(model) -> torch.nn.Module:
    if hasattr(model, "animator"):
        return model.animator.network
    return model.network if hasattr(model, "network") else model.renderer.network


def spoken(clips: int = 5) -> tuple[CropPortrait, list[Utterance]]:
    data = ToyTalkers(clips, frames=FRAMES)
    still = data.crops([0])[0, 0]
    portrait = CropPortrait(np.repeat(still[..., None], 3, 2), still, np.eye(2, 3))
    return portrait, [Utterance(sound, "TOY", 0.0, 1.0) for sound in data.sounds(range(clips))]


def clips_of(model) -> np.ndarray:
    portrait, said = spoken()
    return np.stack([*model.generate_batch(portrait, said, FRAMES, range(5))])


@pytest.mark.parametrize("name", GENERATORS)
def test_networks_live_on_the_device_that_is_given(folders, name):
    for device in ("cpu", "meta"):
        model = GENERATORS[name](folders / name, device)
        tensors = [*network_of(model).parameters(), *network_of(model).buffers()]
        assert {tensor.device.type for tensor in tensors} == {device}
        assert not network_of(model).training


@pytest.mark.parametrize("name", GENERATORS)
def test_clips_drawn_together_are_those_drawn_alone(folders, name):
    model = GENERATORS[name](folders / name)
    together, (portrait, said) = clips_of(model), spoken()
    assert together.shape == (5, FRAMES, 96, 96, 3)
    assert together[0].std(0).max() > 1  # something moves
    assert not np.array_equal(together[0], together[1])
    for seed, (clip, utterance) in enumerate(zip(together, said, strict=True)):
        alone = model.generate(portrait, utterance, FRAMES, seed)
        difference = np.abs(clip.astype(int) - alone)
        assert difference.max() <= 1 and difference.mean() < 0.01  # rounding


@pytest.mark.parametrize("name", GENERATORS)
def test_no_more_frames_are_drawn_at_once_than_memory_is_meant_for(folders, name):
    model, sizes = GENERATORS[name](folders / name), []
    layer = next(m for m in network_of(model).modules() if isinstance(m, torch.nn.Conv2d))
    if name == "lam":
        layer = network_of(model).decoder
    layer.register_forward_hook(lambda layer, given, made: sizes.append(len(made)))
    clips_of(model)
    assert 1 < max(sizes) <= FRAMES_AT_ONCE


def test_clips_of_one_length_are_drawn_together_in_order():
    lengths = [29, 29, 29, 40, 70, 29]
    tasks = [SimpleNamespace(n_frames=n, number=i) for i, n in enumerate(lengths)]
    batches = [[task.number for task in batch] for batch in drawn_together(tasks)]
    assert batches == [[0, 1], [2], [3], [4], [5]]


def test_processes_share_a_gpu_by_its_memory(monkeypatch):
    assert gpus.processes_on("cpu", 64) == 64
    for gib, expected in ((80, 26), (24, 8), (1, 1)):
        found = SimpleNamespace(total_memory=gib << 30)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, found=found: found)
        assert gpus.processes_on("cuda", 64) == expected
    assert gpus.processes_on("cuda", 1) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", GENERATORS)
def test_a_gpu_draws_what_a_cpu_does_and_the_same_each_time(folders, name):
    model = GENERATORS[name](folders / name, "cuda")
    made = clips_of(model)
    assert np.array_equal(made, clips_of(model))
    difference = np.abs(made.astype(int) - clips_of(GENERATORS[name](folders / name)))
    assert difference.mean() < 0.5 and difference.max() <= 8  # TF32 in convolutions
