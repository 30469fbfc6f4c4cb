"""Run a published program once: in a working copy of its own, under a time limit, and accept
nothing but a new file that can be decoded.

Exit status 0 means little: of these programs several print an error and end with it. Names of
scratch files are fixed in most, so that two runs in one folder would mix; each run gets a folder
with links to the repository's files, where what the program writes to is real and its own.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from visemix.generators.base import WORKING, GenerationError
from visemix.generators.external.description import JOB
from visemix.media import MediaError, Video, read_video

GUARD = Path(str(files("visemix.generators.external") / "guard.py"))
GRACE = 5.0  # seconds between asking a program to end and killing it
MAX_LOG = 50_000_000  # bytes: a program that prints more is ended
_TAIL = 4  # lines of a log that are quoted
_POLL = 0.2
# settings of our own environment that would lead another Python astray
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


@contextmanager
def working_copy(repository: Path, scratch: tuple[str, ...], parent: Path) -> Iterator[Path]:
    """A folder under `parent` that looks like the repository; removed at the end.

    `scratch` names its top-level folders that the program writes to: they are empty and real, all
    else is a link. Files of ours go into the folder JOB. The names are relative in commands,
    because one of the programs takes a dot anywhere in a path for a file type. What a killed
    process leaves of the folder is removed when the set is re-run.
    """
    with tempfile.TemporaryDirectory(
        prefix=WORKING, dir=parent.resolve(), ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        for entry in repository.resolve().iterdir():
            if entry.name not in (*scratch, JOB):
                (folder / entry.name).symlink_to(entry)
        for inner in (*scratch, JOB):
            (folder / inner).mkdir()
        yield folder


@contextmanager
def slot(name: str, count: int) -> Iterator[None]:
    """Wait until fewer than `count` runs of a program are under way on this machine's GPUs.

    The lock is released by the operating system when this process dies.
    """
    folder = Path(tempfile.gettempdir()) / f"visemix-external-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    devices = re.sub(r"\W", "-", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    while True:
        for number in range(count):
            with open(folder / f"{name}-gpu-{devices}-{number}.lock", "w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield
                return
        time.sleep(_POLL)


def run(command: list[str], folder: Path, timeout: float) -> None:
    """Run a command in `folder`; when this returns or raises, its process group is gone.

    That takes along what the program left running. Its messages go to files in folder/JOB. Raises
    GenerationError with the last lines of them where it does not end in time, ends with another
    status than 0, or prints without end.
    """
    logs = [folder / JOB / name for name in ("stderr.txt", "stdout.txt")]
    environment = {k: v for k, v in os.environ.items() if k not in _OURS}
    if "/" in command[0]:  # a conda environment has its own ffmpeg beside its python
        environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg"}
    with open(logs[0], "wb") as errors, open(logs[1], "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *command],
            cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=output, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
    try:
        problem = _watch(process, logs, timeout)
        if problem:
            os.killpg(process.pid, signal.SIGTERM)  # a container must be asked before its client
            _ended(process, GRACE)
    finally:
        # Its leader is not reaped yet, so that the group's number cannot be another group's.
        os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        assert process.stdin is not None  # a pipe
        process.stdin.close()
    if problem or status:
        raise GenerationError(f"{problem or f'ended with status {status}'}{said(folder)}")


def said(folder: Path) -> str:
    """The last lines of a run's messages, for a reason; '' if it was silent.

    The working copy's path, which no two runs share, is left out.
    """
    parts = []
    for name in ("stderr", "stdout"):
        path = folder / JOB / f"{name}.txt"
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 4000))
            text = file.read().decode(errors="replace").replace(f"{folder}/", "")
        lines = [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]
        if lines:
            parts.append(f"{name}: " + " | ".join(line[-200:] for line in lines[-_TAIL:]))
    return "; " + "; ".join(parts) if parts else ""


def snapshot(folder: Path, pattern: str) -> dict[Path, tuple]:
    """Files of a pattern as they are now: path to time, size and number."""
    found = {path: path.stat() for path in folder.glob(pattern) if path.is_file()}
    return {path: (s.st_mtime_ns, s.st_size, s.st_ino) for path, s in found.items()}


def new_video(folder: Path, pattern: str, before: dict[Path, tuple]) -> Video:
    """The one video of a pattern that was not there `before` (a snapshot), decoded.

    Raises GenerationError if there is none, more than one, or one that cannot be decoded.
    """
    new = [p for p, state in snapshot(folder, pattern).items() if before.get(p) != state]
    if len(new) != 1:
        names = ", ".join(sorted(str(path.relative_to(folder)) for path in new))
        count = f"{len(new)} new files ({names})" if new else "no output"
        raise GenerationError(f"ended with status 0, but made {count}{said(folder)}")
    try:
        return read_video(new[0])
    except MediaError as error:
        reason = str(error).replace(f"{folder}/", "")
        raise GenerationError(f"unusable output: {reason}{said(folder)}") from error


def _watch(process: subprocess.Popen, logs: list[Path], timeout: float) -> str:
    """Wait for the end of a process; what went wrong, or ''."""
    end = time.monotonic() + timeout
    while not _ended(process, min(_POLL, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            return f"not finished after {timeout:g} s"
        if any(log.stat().st_size > MAX_LOG for log in logs):
            return f"printed more than {MAX_LOG // 1_000_000} MB"
    return ""


def _ended(process: subprocess.Popen, seconds: float) -> bool:
    """Whether a process ends within `seconds`; it stays a zombie, its number taken."""
    flags, end = os.WEXITED | os.WNOWAIT | os.WNOHANG, time.monotonic() + seconds
    while os.waitid(os.P_PID, process.pid, flags) is None:
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True
