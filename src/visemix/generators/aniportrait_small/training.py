"""Train the second stage: frames of a clip from another frame of it and the mesh of its sound.

Everything random is a function of (seed, step), so that a training that was killed and started
again ends in the same bytes (same thread count, same kind of device). The weights kept are the
last: held-out clips are measured, and select nothing.
"""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from visemix.generators.aniportrait_small.batches import Batches, spread_of
from visemix.generators.aniportrait_small.diffusion import add_noise
from visemix.generators.aniportrait_small.mesh import MouthMesh
from visemix.generators.aniportrait_small.renderer import WEIGHTS, Renderer, write_weights
from visemix.generators.aniportrait_small.settings import split_settings
from visemix.generators.aniportrait_small.unet import UNet
from visemix.generators.measures import measure
from visemix.generators.paired_clips import PairedClips
from visemix.generators.sound_to_visemes import build_codebook
from visemix.generators.wav2lip.resumable import prepare_torch, run_steps, write_history
from visemix.run.atomic import sha256_bytes, sha256_file, write_json
from visemix.run.provenance import code_digest, environment
from visemix.training import checkpoints

HISTORY, SUMMARY = "history.csv", "generator.json"


def train(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str = "cpu",
) -> dict:
    """Train on the clips of `data` and write weights.safetensors, history.csv, generator.json.

    Args:
        held_out: clips of other speakers, to measure (see generators.measures) before and after.
        settings: the section generators.aniportrait of params.yaml, and threads (see settings).

    Returns the content of generator.json. Raises SystemExit with status 75 after SIGTERM or
    SIGUSR1, once the checkpoint is written; ValueError for settings that do not fit;
    FloatingPointError when a loss is not finite.
    """
    began = time.monotonic(), time.process_time()
    folder, device = Path(folder), torch.device(device)
    config, training = split_settings(settings)
    digests = {f"data_{name}": value for name, value in data.digests.items()}
    digests |= {f"held_out_{name}": value for name, value in held_out.digests.items()}
    identity = _identity(settings, seed, device, digests)
    prepare_torch(training, device)
    torch.manual_seed(seed)

    mesh = MouthMesh(build_codebook(threads=training.threads), data.eye_to_mouth)
    renderer = Renderer(
        UNet(config).to(device), mesh, 1.0, training.sampling_steps, training.guidance,
        data.alignment,
    )  # fmt: skip
    renderer = replace(renderer, spread=spread_of(data, renderer))
    batches = Batches(data, renderer, training, seed)
    optimiser = torch.optim.Adam(renderer.network.parameters(), lr=training.learning_rate)

    def step(batch: tuple[torch.Tensor, ...], notes: dict) -> dict[str, torch.Tensor]:
        if "before" not in notes:
            notes["before"] = measure(renderer.make, held_out, training.validation_clips)
        reference, mesh_seen, change, noise, times = batch
        noisy = add_noise(change, noise, times)
        made = renderer.network.train()(noisy, times, reference, mesh_seen)
        loss = F.mse_loss(made, change)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss}

    def validate(done: int, notes: dict) -> dict[str, float]:
        return measure(renderer.make, held_out, training.validation_clips)

    resume = folder.with_name(folder.name + ".resume")
    parts = {"network": renderer.network, "optimiser": optimiser}
    state = run_steps(
        parts, batches.read, step, validate, training.steps, resume, identity, training, device
    )

    # Results: the summary last, so that a folder with one is complete.
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, renderer)
    write_history(folder / HISTORY, state["history"])
    before = state["notes"]["before"]
    summary = {
        "version": 1,
        "identity": identity,
        "seed": seed,
        "settings": asdict(config) | asdict(training),
        "digests": {
            **digests,
            "weights": sha256_file(folder / WEIGHTS),
            "code": code_digest(__name__),
        },
        "clips": len(data),
        "before": before,
        "after": {name: state["history"][-1][name] for name in before},
        "parameters": sum(value.numel() for value in renderer.network.parameters()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "environment": environment(),
        "wall_seconds": round(time.monotonic() - began[0], 3),
        "cpu_seconds": round(time.process_time() - began[1], 3),
        "resumed_at_step": state["resumed_at_step"],
    }
    write_json(folder / SUMMARY, summary)
    checkpoints.remove_checkpoint(resume)
    return summary


def _identity(settings: dict, seed: int, device: torch.device, digests: dict) -> str:
    """sha256 of all that decides the weights."""
    decisive = {name: value for name, value in settings.items() if name != "checkpoint_seconds"}
    facts = [decisive, seed, device.type, digests, code_digest(__name__), torch.__version__]
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())
