"""Checkpoints: everything that a killed training needs to end in the same bytes.

A checkpoint belongs to one configuration, named by a digest of all that decides the result. One of
another digest is left alone with a warning and training starts afresh: after a changed parameter
that is what is wanted, and the next checkpoint replaces it.
"""

import io
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from visemix.run.atomic import atomic_path

EXIT_STOPPED = 75  # EX_TEMPFAIL: stopped on request after a checkpoint; start again to go on
FILE_NAME = "checkpoint.pt"
log = logging.getLogger(__name__)


def save_checkpoint(folder: str | Path, digest: str, state: dict) -> None:
    """Write `state`, which holds tensors and plain values only, atomically."""
    content = io.BytesIO()  # on a full disk torch.save itself would complain of a wrong position
    torch.save({"digest": digest, **state}, content)
    with atomic_path(Path(folder) / FILE_NAME) as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(
    folder: str | Path, digest: str, device: torch.device, processes: int = 1
) -> dict | None:
    """The saved state of the same configuration, or None when there is none.

    Raises ValueError for a file that cannot be read, and for one that another number of processes
    wrote: rounding would differ from there on, and starting afresh may throw days away.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        found = state.pop("digest")
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({error}); delete it to train from the start"
        ) from error
    if found != digest and (before := state.get("processes", 1)) != processes:
        raise ValueError(
            f"{path} was written by {before} processes, this training has {processes}; set "
            f"training.processes to {before} to go on, or delete the file to train from the start"
        )
    if found != digest:
        log.warning(
            "%s belongs to another configuration (%s, not %s): training starts afresh",
            path,
            found[:12],
            digest[:12],
        )
        return None
    return state


def remove_checkpoint(folder: str | Path) -> None:
    """Delete the checkpoint of a finished training."""
    (Path(folder) / FILE_NAME).unlink(missing_ok=True)


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether SIGTERM or SIGUSR1 (a Slurm warning) has come.

    The signals only set a flag, so that a step is never cut in two. Outside the main thread,
    which alone may set handlers, the answer is always no.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    signals = (signal.SIGTERM, signal.SIGUSR1)
    before = [signal.signal(number, lambda *_: asked.set()) for number in signals]
    try:
        yield asked.is_set
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


class Interval:
    """Says yes once every `seconds`; 0 says yes each time."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last = time.monotonic()

    def over(self) -> bool:
        """Has the interval passed since the last yes?"""
        if time.monotonic() - self.last < self.seconds:
            return False
        self.last = time.monotonic()
        return True
