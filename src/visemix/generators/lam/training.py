"""Train a LAM: generator, discriminator of frames, discriminator of sequences, step by step.

As in visemix.training.words, everything random is a function of (seed, step), so that a training
that was killed and started again ends in the same bytes (same thread count, same kind of device).
The weights kept are the last: held-out clips are measured, and select nothing.
"""

import json
import logging
import math
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from visemix.generators.lam.discriminators import ImageDiscriminator, SequenceDiscriminator
from visemix.generators.lam.losses import MOVEMENTS, LipReaderLoss
from visemix.generators.lam.model import Lam
from visemix.generators.lam.settings import LamTraining, split_settings
from visemix.generators.lam.step import make_optimisers, read_batch, update
from visemix.generators.lam.weights import WEIGHTS, Animator, write_weights
from visemix.generators.measures import measure
from visemix.generators.paired_clips import PairedClips, read_ahead
from visemix.generators.speech_windows import spectra_of
from visemix.run.atomic import sha256_bytes, sha256_file, write_json
from visemix.run.provenance import code_digest, environment
from visemix.training import checkpoints
from visemix.training.outputs import write_history
from visemix.training.recogniser import WEIGHTS as READER

HISTORY, SUMMARY = "history.csv", "generator.json"
TERMS = ("speech", "total", "reconstruction", "image", "sequence", "visual", "logits",
         "discriminator_image", "discriminator_sequence")  # fmt: skip
log = logging.getLogger(__name__)


def train(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str = "cpu",
    vsr_run_folder: str | Path | None = None,
    rotations: np.ndarray | None = None,
) -> dict:
    """Train on the clips of `data` and write weights.safetensors, history.csv, generator.json.

    Args:
        held_out: clips of other speakers, to measure (see generators.measures) before and after.
        settings: the section generators.lam of params.yaml (see settings).
        vsr_run_folder: finished run of visemix.training whose recogniser, which must have learned
            from real video alone, gives the VSR perceptual loss; for the configurations V, L, VL.
        rotations: (clips, T, 3, 3) head rotation in every frame of `data` relative to any one
            frame. None, our reading for crop sets, which hold no landmarks: no head turns.

    Returns the content of generator.json. Raises SystemExit with status 75 after SIGTERM or
    SIGUSR1, once the checkpoint is written; ValueError for arguments that do not fit each other;
    FloatingPointError when a loss is not finite.
    """
    began = time.monotonic(), time.process_time()
    folder, device = Path(folder), torch.device(device)
    config, training = split_settings(settings)
    _check_arguments(data, training, vsr_run_folder, rotations)
    digests = _digests(data, held_out, vsr_run_folder, rotations)
    identity = _identity(settings, seed, device, digests)
    _prepare_torch(training, device)

    torch.manual_seed(seed)
    networks = nn.ModuleDict(
        {
            "generator": Lam(config),
            "image": ImageDiscriminator(config.discriminator_channels),
            "sequence": SequenceDiscriminator(config.discriminator_channels),
        }
    )
    if training.speech_steps:
        networks["movement"] = nn.Linear(config.speech_code, MOVEMENTS)
    networks.to(device)
    optimisers = make_optimisers(networks, training)
    vsr = None
    if training.configuration != "baseline":
        vsr = LipReaderLoss(vsr_run_folder, device).to(device)
    animator = Animator(networks["generator"], data.eye_to_mouth, data.alignment)

    state = {"step": 0, "history": [], "before": None, "sums": {}}
    saved = checkpoints.load_checkpoint(_resume_folder(folder), identity, device)
    if saved is None:
        state["before"] = measure(animator.make, held_out, training.validation_clips)
    else:
        networks.load_state_dict(saved.pop("networks"))
        for name, values in saved.pop("optimisers").items():
            optimisers[name].load_state_dict(values)
        state = saved
    start = state["step"]

    def save():
        parts = {"networks": networks.state_dict()}
        parts["optimisers"] = {name: o.state_dict() for name, o in optimisers.items()}
        checkpoints.save_checkpoint(_resume_folder(folder), identity, {**state, **parts})

    spectra = spectra_of(data)
    due = checkpoints.Interval(training.checkpoint_seconds)
    steps = range(start, training.steps)

    def read(step: int) -> dict[str, torch.Tensor | None]:
        return read_batch(data, spectra, training, seed, step, device, rotations)

    with checkpoints.stop_requests() as asked_to_stop, read_ahead(read, steps) as batches:
        for step in tqdm(steps, unit="step", disable=not sys.stderr.isatty()):
            terms = update(networks, optimisers, next(batches), training, step, vsr)
            for name, value in terms.items():
                state["sums"][name] = state["sums"].get(name, 0) + value.detach()
            state["step"] = step + 1
            if state["step"] % training.validate_every == 0 or state["step"] == training.steps:
                measured = measure(animator.make, held_out, training.validation_clips)
                _record(state, measured, training)
            if asked_to_stop() and state["step"] < training.steps:
                save()
                log.warning("stopped on request after step %d; start again to go on", step + 1)
                raise SystemExit(checkpoints.EXIT_STOPPED)
            if due.over():
                save()

    # Results: the summary last, so that a folder with one is complete.
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, networks["generator"], data.eye_to_mouth, data.alignment)
    write_history(folder / HISTORY, state["history"])
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
        "before": state["before"],
        "after": {name: state["history"][-1][name] for name in state["before"]},
        "parameters": {
            name: sum(value.numel() for value in network.parameters())
            for name, network in networks.items()
        },
        "threads": training.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "environment": environment(),
        "wall_seconds": round(time.monotonic() - began[0], 3),
        "cpu_seconds": round(time.process_time() - began[1], 3),
        "resumed_at_step": start,
    }
    write_json(folder / SUMMARY, summary)
    checkpoints.remove_checkpoint(_resume_folder(folder))
    return summary


def _record(state: dict, measured: dict, training: LamTraining) -> None:
    """Add a row to the history: mean losses since the last one, and the measures."""
    since = state["history"][-1]["step"] if state["history"] else 0
    # A term that came in late is a mean over the whole stretch, in which it was 0 before.
    sums, state["sums"] = state["sums"], {}
    means = {name: float(sums.get(name, 0)) / (state["step"] - since) for name in TERMS}
    if not all(math.isfinite(value) for value in (*means.values(), *measured.values())):
        raise FloatingPointError(
            f"losses {means} and measures {measured} at step {state['step']} are not all finite; "
            f"lower learning_rate (now {training.learning_rate})"
        )
    state["history"].append({"step": state["step"], **means, **measured})


def _check_arguments(data, training: LamTraining, vsr_run_folder, rotations) -> None:
    if (training.configuration == "baseline") != (vsr_run_folder is None):
        raise ValueError(
            f"configuration {training.configuration} and vsr_run_folder {vsr_run_folder}: V, L and "
            "VL need the run of a lip reader, baseline takes none"
        )
    if vsr_run_folder is not None and not (path := Path(vsr_run_folder) / READER).is_file():
        raise FileNotFoundError(f"{path} does not exist; train this run first")
    if rotations is not None and len(rotations) != len(data):
        raise ValueError(f"rotations of {len(rotations)} clips are given for {len(data)} clips")


def _digests(data, held_out, vsr_run_folder, rotations) -> dict[str, str]:
    """sha256 of each input."""
    digests = {f"data_{name}": value for name, value in data.digests.items()}
    digests |= {f"held_out_{name}": value for name, value in held_out.digests.items()}
    if vsr_run_folder is not None:
        digests["vsr_weights"] = sha256_file(Path(vsr_run_folder) / READER)
    if rotations is not None:
        digests["rotations"] = sha256_bytes(np.ascontiguousarray(rotations))
    return digests


def _identity(settings: dict, seed: int, device: torch.device, digests: dict) -> str:
    """sha256 of all that decides the weights."""
    decisive = {name: value for name, value in settings.items() if name != "checkpoint_seconds"}
    facts = [decisive, seed, device.type, digests, code_digest(__name__), torch.__version__]
    return sha256_bytes(json.dumps(facts, sort_keys=True).encode())


def _resume_folder(folder: Path) -> Path:
    """Where checkpoints live until the training ends."""
    return folder.with_name(folder.name + ".resume")


def _prepare_torch(training: LamTraining, device: torch.device) -> None:
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
