"""Train the second stage: frames of a clip from another frame of it and the mesh of its sound.

The weights kept are the last: held-out clips are measured, and select nothing.
"""

from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.aniportrait_small.batches import Batches, spread_of
from visemix.generators.aniportrait_small.diffusion import add_noise
from visemix.generators.aniportrait_small.mesh import MouthMesh
from visemix.generators.aniportrait_small.renderer import WEIGHTS, Renderer, write_weights
from visemix.generators.aniportrait_small.unet import UNet
from visemix.generators.measures import measure
from visemix.generators.paired_clips import PairedClips
from visemix.generators.sound_to_visemes import build_codebook
from visemix.run.provenance import code_digest
from visemix.training.outputs import Clock, circumstances
from visemix.training.steps import cosine_rate, descend, prepare_torch, set_rate


def train(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str | torch.device = "cpu",
) -> dict:
    """Train on the clips of `data` and write weights.safetensors, history.csv, generator.json.

    Args:
        held_out: clips of other speakers, to measure (see generators.measures) before and after.
        settings: values of config.generators.Aniportrait, and `threads`.

    Returns the content of generator.json. Raises as training.steps.run_steps, and ValueError for
    settings that do not fit.
    """
    clock, folder, device = Clock(), Path(folder), torch.device(device)
    resume = folder.with_name(folder.name + ".resume")
    config, threads = trained.checked(sections.Aniportrait, settings)
    code = code_digest(__name__)
    identified = trained.identify(
        "aniportrait-small", config, threads, seed, device, data, held_out, code=code
    )
    prepare_torch(threads, device)

    torch.manual_seed(seed)
    mesh = MouthMesh(build_codebook(threads=threads), data.eye_to_mouth)
    network = UNet(config).to(device)
    renderer = Renderer(network, mesh, 1.0, data.alignment)
    renderer = replace(renderer, spread=spread_of(data, renderer))
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)

    def step(number: int, batch: tuple[torch.Tensor, ...], notes: dict) -> dict[str, torch.Tensor]:
        set_rate(optimiser, cosine_rate(config.learning_rate, number, config.steps))
        reference, mesh_seen, change, noise, times = batch
        noisy = add_noise(change, noise, times)
        made = network.train()(noisy, times, reference, mesh_seen)
        loss = F.mse_loss(made, change)
        descend(optimiser, loss)
        return {"loss": loss}

    def validate(done: int, notes: dict) -> dict[str, float]:
        return measure(renderer.make, held_out, config.validation_clips)

    before = validate(0, {})
    read = Batches(data, renderer, config, seed).read
    parts = {"network": network, "optimiser": optimiser}
    state = trained.learn(config, identified, device, resume, parts, step, validate, read)

    write_weights(folder / WEIGHTS, renderer)
    results = {
        "parameters": sum(value.numel() for value in network.parameters()),
        "before": before,
        "after": {name: state["history"][-1][name] for name in before},
    }
    where = circumstances(device, threads, state, clock)
    return trained.finish(folder, resume, identified, results, state, where)
