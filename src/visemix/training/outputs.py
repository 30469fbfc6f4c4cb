"""What every training leaves behind: weights, history, a summary, and the digest that names it."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import safetensors
import safetensors.torch
import torch

from visemix.run.atomic import atomic_path, sha256_bytes
from visemix.run.provenance import environment

Network = TypeVar("Network", bound=torch.nn.Module)

NOT_DECISIVE = {"checkpoint_seconds"}  # parameters without a part in the result


def identity_of(device: torch.device, **facts) -> str:
    """sha256 of all that decides trained weights: the facts, as plain values, and torch's version.

    A checkpoint belongs to one identity. The facts hold the parameters, the seed, the digests of
    the data and of the code.
    """
    facts = {"device": device.type, "torch": torch.__version__, **facts}
    return sha256_bytes(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode())


def decisive(settings: dict) -> dict:
    """The parameters of a training that have a part in its result."""
    return {name: value for name, value in settings.items() if name not in NOT_DECISIVE}


def write_weights(path: Path, weights: dict[str, torch.Tensor], facts: dict) -> None:
    """Write a state dict as safetensors, with what its reader must know beside it.

    Equal weights and facts give equal bytes.
    """
    values = {name: value.cpu().contiguous() for name, value in weights.items()}
    with atomic_path(path) as temporary:
        # One key alone: the order of several would change from process to process.
        safetensors.torch.save_file(values, temporary, {"visemix": json.dumps(facts)})


def read_tensors(
    path: Path, device: str | torch.device = "cpu"
) -> tuple[dict[str, torch.Tensor], dict]:
    """The state dict and the facts that `write_weights` wrote; errors as `read_weights`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; train it first")
    try:
        with safetensors.safe_open(path, framework="pt", device=str(device)) as file:
            facts = json.loads(file.metadata()["visemix"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no weights ({error}); delete and train it") from error


def read_weights(
    path: Path, network_of: Callable[[dict], Network], device: str | torch.device = "cpu"
) -> tuple[Network, dict]:
    """A trained network in evaluation mode, and the facts written with it.

    `network_of` makes the network from the facts. Raises FileNotFoundError if the file is missing,
    ValueError for a file that holds no such network, or is of an older form.
    """
    weights, facts = read_tensors(path, device)
    try:
        network = network_of(facts)
        network.load_state_dict(weights)
    except (KeyError, TypeError, RuntimeError) as error:
        raise unfit(path, error) from error
    return network.to(device).eval(), facts


def unfit(path: Path, error: Exception) -> ValueError:
    """The error on weights of another network."""
    return ValueError(
        f"{path} holds no such network, or is of an older form ({error}); delete and train it"
    )


def write_history(path: Path, history: list[dict]) -> None:
    """Write one CSV row a validation."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


class Clock:
    """Wall and CPU time since it was made; CPU time is that of this process and its threads."""

    def __init__(self):
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """{"wall_seconds", "cpu_seconds"}, to the millisecond."""
        return {
            "wall_seconds": round(time.monotonic() - self.wall, 3),
            "cpu_seconds": round(time.process_time() - self.cpu, 3),
        }


def circumstances(device: torch.device, threads: int, state: dict, clock: Clock) -> dict:
    """The part of a summary that all trainings have: where, how long, from which step on."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": threads,
        "environment": environment(),
        "resumed_at_step": state["resumed_at_step"],
        **clock.seconds(),
    }
