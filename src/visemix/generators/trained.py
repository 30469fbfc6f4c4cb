"""What the trainings of generators have in common: what identifies one, weights and summary."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from visemix.config.section import Section
from visemix.generators.paired_clips import PairedClips, read_ahead
from visemix.run.atomic import sha256_file, write_json
from visemix.training import checkpoints, outputs
from visemix.training.steps import run_steps

Settings = TypeVar("Settings", bound=Section)
Network = TypeVar("Network", bound=torch.nn.Module)

FILES = ("weights.safetensors", "history.csv", "generator.json")


def checked(section: type[Settings], settings: dict) -> tuple[Settings, int]:
    """A section of config.generators from its values, and the CPU threads beside them (1)."""
    threads = settings.get("threads", 1)
    values = {name: value for name, value in settings.items() if name != "threads"}
    return section.model_validate(values), threads


def identify(
    training: str,
    settings: Section,
    threads: int,
    seed: int,
    device: torch.device,
    data: PairedClips,
    held_out: PairedClips,
    **digests: str,
) -> dict:
    """The first part of a summary: all that decides the weights, and `identity`, its sha256.

    digests: of the training's code and of what it reads besides the clips.
    """
    of_clips = {f"data_{name}": value for name, value in data.digests.items()}
    of_clips |= {f"held_out_{name}": value for name, value in held_out.digests.items()}
    facts = {"generator": training, "seed": seed, "digests": {**of_clips, **digests}}
    chosen = settings.model_dump()
    identity = outputs.identity_of(
        device, **facts, settings=outputs.decisive(chosen), threads=threads
    )
    return {"version": 3, "identity": identity, **facts, "settings": chosen, "clips": len(data)}


def write_weights(path: Path, network: torch.nn.Module, **facts) -> None:
    """Write a network as safetensors, with its `config`, a section, and facts for its reader."""
    settings = cast(Section, network.config).model_dump()
    facts = {"settings": outputs.decisive(settings), **facts}
    outputs.write_weights(path, network.state_dict(), facts)


def read_weights(
    path: Path,
    network: type[Network],
    section: type[Section],
    device: str | torch.device = "cpu",
) -> tuple[Network, dict]:
    """A trained network in evaluation mode, and the facts written with it.

    Errors as outputs.read_weights.
    """
    made, facts = outputs.read_weights(
        path, lambda facts: network(section.model_validate(facts["settings"]))
    )
    return made.to(device), facts


def learn(
    config: Any,
    identified: dict,
    device: torch.device,
    resume: Path,
    parts: dict,
    step: Callable,
    validate: Callable,
    read: Callable,
    steps: int | None = None,
) -> dict:
    """training.steps.run_steps by a section's `steps` (if not given), validations and checkpoints.

    read: number of a step -> its batch; one thread reads ahead (see paired_clips.read_ahead).
    """
    return run_steps(
        parts,
        step,
        validate,
        steps=steps or config.steps,
        validate_every=config.validate_every,
        checkpoint_seconds=config.checkpoint_seconds,
        folder=resume,
        identity=identified["identity"],
        device=device,
        batches=partial(read_ahead, read),
    )


def finish(
    folder: Path,
    resume: Path,
    identified: dict,
    results: dict,
    state: dict,
    circumstances: dict,
    files: tuple[str, str, str] = FILES,
) -> dict:
    """Write history and summary beside the weights, the summary last, and drop the checkpoint.

    files: names of weights, history and summary. Returns the summary.
    """
    weights, history, summary = (folder / name for name in files)
    outputs.write_history(history, state["history"])
    digests = {**identified["digests"], "weights": sha256_file(weights)}
    content = {**identified, "digests": digests, **results, **circumstances}
    write_json(summary, content)
    checkpoints.remove_checkpoint(resume)
    return content
