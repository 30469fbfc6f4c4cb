"""The one resumable loop of every training: steps, validations, checkpoints, a request to stop.

Whoever trains gives the loop its parts (networks, optimisers, running averages: whatever has
`state_dict` and `load_state_dict`), a function that makes one step, and one that validates.
Everything random is a function of (seed, step), so that a checkpoint holds no random state, and a
training that was killed and started again ends in the same bytes as one that was not (same thread
count, same kind of device).

The loop knows nothing of what a step does. Batches of any shape, clipped gradients, parameters that
are frozen for a while, several optimisers, an average of weights beside the weights
(torch.optim.swa_utils.AveragedModel is one more part): all of that is the step's.
"""

import gc
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from visemix.run import data_parallel
from visemix.training import checkpoints

log = logging.getLogger(__name__)


def run_steps(
    parts: dict,
    step: Callable[[int, Any, dict], dict[str, torch.Tensor]],
    validate: Callable[[int, dict], dict[str, float]],
    *,
    steps: int,
    validate_every: int,
    checkpoint_seconds: float,
    folder: str | Path,
    identity: str,
    device: torch.device,
    batches: Callable[[range], AbstractContextManager[Iterable]] = nullcontext,
) -> dict:
    """Make the steps that are left and return the state after the last one.

    Several processes (`training.launch`) run the loop together: the first of them validates and
    writes, so that what a validation notes is known to the first alone; `step` averages the
    gradients and the losses.

    Args:
        parts: networks and optimisers by name; all are in a checkpoint.
        step: (number from 0, batch, notes) -> losses by name, scalars, the same names each time.
        validate: (steps done, notes) -> a row of the history. Called every `validate_every` steps
            and after the last one; what it keeps (the best weights, a threshold that was passed)
            it writes into the notes, as plain values and tensors.
        checkpoint_seconds: time between checkpoints; it has no part in the result.
        folder: of the checkpoint, which is left there: whoever has saved the result removes it.
        identity: digest of all that decides the result; a checkpoint of another one is left alone.
        batches: given the numbers of the steps that are left, a context that gives a batch for
            each; by default the batch is the number.

    Returns:
        step, history (a row a validation: step, mean of each loss since the row before, the
        validation's values), notes, resumed_at_step.

    Raises:
        SystemExit: with status 75 after SIGTERM or SIGUSR1, once the checkpoint is written; start
            the same training again to go on.
        ValueError: a checkpoint that cannot be read, or of another number of processes.
        FloatingPointError: a loss is not finite at a validation.
    """
    first = data_parallel.rank() == 0
    state: dict = {"step": 0, "history": [], "sums": {}, "notes": {}}
    state["processes"] = data_parallel.processes()
    saved = checkpoints.load_checkpoint(folder, identity, device, data_parallel.processes())
    data_parallel.any_of(False)  # nobody writes before all have read
    if saved is not None:
        for name, part in parts.items():
            part.load_state_dict(saved.pop(f"part {name}"))
        state = saved
    state["resumed_at_step"] = state["step"]

    def save():
        if first:
            content = {f"part {name}": part.state_dict() for name, part in parts.items()}
            checkpoints.save_checkpoint(folder, identity, {**state, **content})

    due = checkpoints.Interval(checkpoint_seconds)
    numbers = range(state["step"], steps)
    with checkpoints.stop_requests() as asked_to_stop, batches(numbers) as stream:
        bar = tqdm(stream, total=len(numbers), unit="step", disable=not sys.stderr.isatty())
        for number, batch in zip(numbers, bar, strict=True):
            for name, loss in step(number, batch, state["notes"]).items():
                state["sums"][name] = state["sums"].get(name, 0) + loss.detach()
            state["step"] = done = number + 1
            if first and (done % validate_every == 0 or done == steps):
                _record(state, validate(done, state["notes"]))
            if data_parallel.any_of(asked_to_stop()) and done < steps:
                save()
                data_parallel.any_of(False)  # nobody leaves before the checkpoint is written
                if first:
                    log.warning("stopped on request after step %d; start again to go on", done)
                raise SystemExit(checkpoints.EXIT_STOPPED)
            if due.over():
                save()
    return state


def _record(state: dict, validated: dict[str, float]) -> None:
    """Add a row to the history: the mean of each loss since the last row, then the validation."""
    since = state["history"][-1]["step"] if state["history"] else 0
    means = {name: float(total) / (state["step"] - since) for name, total in state["sums"].items()}
    row = {"step": state["step"], **means, **validated}
    wrong = [f"{name} is {value}" for name, value in row.items() if not math.isfinite(value)]
    if wrong:
        raise FloatingPointError(
            f"at step {state['step']} {', '.join(wrong)}; lower the learning rate or raise warm_up"
        )
    state["history"].append(row)
    state["sums"] = {}


def cosine_rate(highest: float, step: int, steps: int, warm_up: int = 0) -> float:
    """Learning rate of a step: linear warm-up, then a cosine from `highest` to 0 at `steps`."""
    if step < warm_up:
        return highest * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return highest * 0.5 * (1 + math.cos(math.pi * progress))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups of an optimiser this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """One step of an optimiser along the gradient of a loss."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def prepare_torch(threads: int, device: torch.device, deterministic: bool = True) -> None:
    """Threads and kernels that give the same bits each time."""
    torch.set_num_threads(threads)
    threadpool_limits(threads)  # numpy, for spectrograms
    torch.use_deterministic_algorithms(deterministic)
    # Deterministic mode also clears new memory for debugging, which costs a pass over all of it.
    # torch's types lack the setting.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    gc.freeze()  # what exists now lives on: spare the collector from walking it again and again
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = not deterministic
