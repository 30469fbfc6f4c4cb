"""Train a LAM: generator, discriminator of frames, discriminator of sequences, step by step.

The weights kept are the last: held-out clips are measured, and select nothing.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.lam.discriminators import ImageDiscriminator, SequenceDiscriminator
from visemix.generators.lam.losses import CONFIGURATIONS, MOVEMENTS, LipReaderLoss
from visemix.generators.lam.model import Lam
from visemix.generators.lam.step import Batch, loss_weights, make_optimisers, read_batch, update
from visemix.generators.lam.weights import WEIGHTS, Animator
from visemix.generators.measures import measure
from visemix.generators.paired_clips import PairedClips
from visemix.generators.speech_windows import spectra_of
from visemix.run.atomic import sha256_bytes, sha256_file
from visemix.run.provenance import code_digest
from visemix.training.outputs import Clock, circumstances
from visemix.training.recogniser import WEIGHTS as READER
from visemix.training.steps import prepare_torch

TERMS = ("speech", "total", "reconstruction", "image", "sequence", "visual", "logits",
         "discriminator_image", "discriminator_sequence")  # fmt: skip


def train(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str | torch.device = "cpu",
    vsr_run_folder: str | Path | None = None,
    rotations: np.ndarray | None = None,
) -> dict:
    """Train on the clips of `data` and write weights.safetensors, history.csv, generator.json.

    Args:
        held_out: clips of other speakers, to measure (see generators.measures) before and after.
        settings: values of config.generators.Lam, `threads`, and `configuration`: which terms of
            the VSR perceptual loss count, baseline (none), V, L or VL.
        vsr_run_folder: finished run of visemix.training whose recogniser, which must have learned
            from real video alone, gives the VSR perceptual loss; for the configurations V, L, VL.
        rotations: (clips, T, 3, 3) head rotation in every frame of `data` relative to any one
            frame. None, our reading for crop sets, which hold no landmarks: no head turns.

    Returns the content of generator.json. Raises as training.steps.run_steps, and ValueError for
    arguments that do not fit each other.
    """
    clock, folder, device = Clock(), Path(folder), torch.device(device)
    resume = folder.with_name(folder.name + ".resume")
    settings = dict(settings)
    configuration = settings.pop("configuration", "baseline")
    config, threads = trained.checked(sections.Lam, settings)
    _check_arguments(data, configuration, vsr_run_folder, rotations)
    digests = {"code": code_digest(__name__)}
    if vsr_run_folder is not None:
        digests["vsr_weights"] = sha256_file(Path(vsr_run_folder) / READER)
    if rotations is not None:
        digests["rotations"] = sha256_bytes(np.ascontiguousarray(rotations))
    name = "lam" if configuration == "baseline" else f"lam-{configuration.lower()}"
    identified = trained.identify(name, config, threads, seed, device, data, held_out, **digests)
    prepare_torch(threads, device)

    torch.manual_seed(seed)
    networks = make_networks(config).to(device)
    optimisers = make_optimisers(networks, config)
    weights = loss_weights(config, configuration)
    vsr = LipReaderLoss(vsr_run_folder, device).to(device) if vsr_run_folder is not None else None
    animator = Animator(cast(Lam, networks["generator"]), data.eye_to_mouth, data.alignment)
    spectra, zeros = spectra_of(data), {name: torch.zeros((), device=device) for name in TERMS}

    def read(number: int) -> Batch:
        return read_batch(data, spectra, config, seed, number, device, rotations)

    def step(number: int, batch: Batch, notes: dict) -> dict[str, torch.Tensor]:
        return zeros | update(networks, optimisers, batch, config, number, weights, vsr)

    def validate(done: int, notes: dict) -> dict[str, float]:
        return measure(animator.make, held_out, config.validation_clips)

    before = validate(0, {})
    parts = {"networks": networks, **optimisers}
    state = trained.learn(config, identified, device, resume, parts, step, validate, read)

    facts = {"eye_to_mouth": data.eye_to_mouth, "alignment": data.alignment}
    trained.write_weights(folder / WEIGHTS, networks["generator"], **facts)
    results = {
        "parameters": {
            name: sum(value.numel() for value in network.parameters())
            for name, network in networks.items()
        },
        "before": before,
        "after": {name: state["history"][-1][name] for name in before},
    }
    where = circumstances(device, threads, state, clock)
    return trained.finish(folder, resume, identified, results, state, where)


def make_networks(settings: sections.Lam) -> nn.ModuleDict:
    """Generator, both discriminators and, where speech is learned first, what reads its code."""
    networks = nn.ModuleDict(
        {
            "generator": Lam(settings),
            "image": ImageDiscriminator(settings.discriminator_channels),
            "sequence": SequenceDiscriminator(settings.discriminator_channels),
        }
    )
    if settings.speech_steps:
        networks["movement"] = nn.Linear(settings.speech_code, MOVEMENTS)
    return networks


def _check_arguments(data, configuration: str, vsr_run_folder, rotations) -> None:
    if configuration not in CONFIGURATIONS:
        known = ", ".join(CONFIGURATIONS)
        raise ValueError(f"configuration is {configuration!r}; it must be one of {known}")
    if (configuration == "baseline") != (vsr_run_folder is None):
        raise ValueError(
            f"configuration {configuration} and vsr_run_folder {vsr_run_folder}: V, L and VL need "
            "the run of a lip reader, baseline takes none"
        )
    if vsr_run_folder is not None and not (path := Path(vsr_run_folder) / READER).is_file():
        raise FileNotFoundError(f"{path} does not exist; train this run first")
    if rotations is not None and len(rotations) != len(data):
        raise ValueError(f"rotations of {len(rotations)} clips are given for {len(data)} clips")
