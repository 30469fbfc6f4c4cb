"""Optimiser steps that a kill cannot change: the loop that expert and generator share."""

import csv
import json
import logging
import math
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from visemix.generators.paired_clips import read_ahead
from visemix.generators.wav2lip.config import Wav2LipConfig
from visemix.run.atomic import atomic_path, sha256_bytes
from visemix.run.provenance import code_digest
from visemix.training import checkpoints

log = logging.getLogger(__name__)


def run_steps(
    parts: dict,
    read: Callable[[int], object],
    step: Callable[[object, dict], dict[str, torch.Tensor]],
    validate: Callable[[int, dict], dict[str, float]],
    steps: int,
    folder: Path,
    identity: str,
    config: Wav2LipConfig,
    device: torch.device,
) -> dict:
    """Make `steps` steps and return the last state: its `history` and what `notes` came to hold.

    Args:
        parts: networks and optimisers by name; all are in a checkpoint.
        read: the batch of a step from its number alone; called ahead, in a thread.
        step: makes one step from its batch and the notes; gives losses to be averaged.
        validate: every config.validate_every steps and after the last one; gives a row of the
            history, and may write plain values and tensors into the notes.
        folder: of the checkpoint, which is left there: whoever has saved the result removes it.

    Raises SystemExit(75) after SIGTERM or SIGUSR1 once the checkpoint is written, and
    FloatingPointError if a loss is not finite.
    """
    state = {"step": 0, "history": [], "sums": {}, "notes": {}}
    saved = checkpoints.load_checkpoint(folder, identity, device)
    if saved is not None:
        for name, part in parts.items():
            part.load_state_dict(saved.pop(name))
        state = saved

    def save():
        checkpoints.save_checkpoint(
            folder, identity, {**state, **{name: part.state_dict() for name, part in parts.items()}}
        )

    due = checkpoints.Interval(config.checkpoint_seconds)
    state["resumed_at_step"] = state["step"]
    numbers = range(state["step"], steps)
    with (
        checkpoints.stop_requests() as asked_to_stop,
        read_ahead(read, numbers) as batches,
    ):
        for number in tqdm(numbers, unit="step", disable=not sys.stderr.isatty()):
            _set_rates(parts, number / steps if config.cosine else 0.0)
            for name, loss in step(next(batches), state["notes"]).items():
                state["sums"][name] = state["sums"].get(name, 0) + loss.detach()
            state["step"] = done = number + 1
            if done % config.validate_every == 0 or done == steps:
                _record(state, validate(done, state["notes"]))
            if asked_to_stop() and done < steps:
                save()
                log.warning("stopped on request after step %d; start again to go on", done)
                raise SystemExit(checkpoints.EXIT_STOPPED)
            if due.over():
                save()
    return state


def _set_rates(parts: dict, progress: float) -> None:
    """Let the learning rates follow a cosine from their first value (0) to 0 (1)."""
    for part in parts.values():
        if isinstance(part, torch.optim.Optimizer):
            for group in part.param_groups:
                group["lr"] = part.defaults["lr"] * 0.5 * (1 + math.cos(math.pi * progress))


def _record(state: dict, validated: dict[str, float]) -> None:
    """Add a row with the mean losses since the last one to the history."""
    since = state["history"][-1]["step"] if state["history"] else 0
    means = {name: float(total) / (state["step"] - since) for name, total in state["sums"].items()}
    row = {"step": state["step"], **means, **validated}
    if not all(math.isfinite(value) for value in row.values()):
        raise FloatingPointError(f"a loss is not finite: {row}; lower the learning rate")
    state["history"].append(row)
    state["sums"] = {}


def prepare_torch(config: Wav2LipConfig, device: torch.device) -> None:
    """Threads and kernels that give the same bits each time."""
    torch.set_num_threads(config.threads)
    threadpool_limits(config.threads)  # numpy, for spectrograms
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False


def decisive(config: Wav2LipConfig) -> dict:
    """The parameters that have a part in the result."""
    values = asdict(config)
    del values["checkpoint_seconds"]
    return values


def identity_of(purpose: str, config: Wav2LipConfig, seed: int, device, digests: dict) -> str:
    """sha256 of all that decides the trained weights."""
    facts = [purpose, decisive(config), seed, torch.device(device).type, digests, torch.__version__]
    return sha256_bytes(json.dumps([*facts, code_digest(__name__)], sort_keys=True).encode())


def write_weights(
    path: Path, model: torch.nn.Module, config: Wav2LipConfig, identity: str, **facts
) -> None:
    """Write a network as safetensors with its configuration and facts; equal weights, equal bytes.

    Time between checkpoints is no part of it.
    """
    facts = {"config": decisive(config), "identity": identity, **facts}
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        # One key alone: the order of several would change from process to process.
        safetensors.torch.save_file(weights, temporary, {"visemix": json.dumps(facts)})


def read_weights(path: Path, network: type, device="cpu") -> tuple[torch.nn.Module, dict]:
    """A trained network in evaluation mode, and the facts written with it.

    Raises FileNotFoundError if it is missing, ValueError for a file of another kind.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; train the generator first")
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            facts = json.loads(file.metadata()["visemix"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = network(Wav2LipConfig(**facts["config"]))
        model.load_state_dict(weights)
    except (safetensors.SafetensorError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} holds no such network ({error}); delete and train it") from error
    return model.to(device).eval().requires_grad_(False), facts


def write_history(path: Path, history: list[dict]) -> None:
    """Write one CSV row a validation."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
