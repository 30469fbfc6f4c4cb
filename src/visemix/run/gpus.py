"""A lease of GPUs: every concurrent job of one machine gets devices of its own.

Snakemake counts GPUs (`--resources gpu=8`) but does not say which. `lease_gpus` picks free ones by
locking one small file a device; the lock is released by the operating system when the process
dies, however it dies. Inside a Slurm job Slurm's own CUDA_VISIBLE_DEVICES stands. Must be called
before CUDA is initialised.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# For each process that makes clips on a GPU: half for what CUDA and its libraries keep, about 15 MB
# for each of 64 pictures of the largest network at 96 px, and room for what torch holds back.
PROCESS_BYTES = 3 << 30

# descriptors of held locks: they must live, and stay open, as long as the process
_held: list[int] = []


def visible_gpus() -> list[str]:
    """Ids of the GPUs this process may use: CUDA_VISIBLE_DEVICES if set, else all of the machine.

    Asks nvidia-smi, which does not touch CUDA; no nvidia-smi means no GPU. Ids are indices, or
    UUIDs where CUDA_VISIBLE_DEVICES holds those.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [part.strip() for part in chosen.split(",") if part.strip() not in ("", "-1")]
    return _ask_nvidia_smi("index")


def driver_version() -> str | None:
    """The version of the GPU driver, such as '570.86.15'; None where nvidia-smi names none."""
    return next(iter(_ask_nvidia_smi("driver_version")), None)


def _ask_nvidia_smi(what: str) -> list[str]:
    """One word for each GPU of the machine; [] without nvidia-smi, or where it fails."""
    try:
        listing = subprocess.run(
            ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return listing.stdout.split()


def lease_gpus(count: int, folder: Path | None = None) -> list[str]:
    """Reserve `count` GPUs for this process and set CUDA_VISIBLE_DEVICES to them.

    Waits, asking every second, while fewer than `count` are free: all or none are taken,
    so that two jobs of two GPUs cannot starve each other. Returns the ids; [] on a machine
    without a GPU (the caller then runs on the CPU) or when `count` is 0 (which hides all GPUs).
    Under Slurm the devices that Slurm gave are returned unchanged. `folder` holds the lock files
    (default: a per-user folder of the system's temporary directory). Raises ValueError when the
    machine has GPUs, but fewer than asked for.
    """
    if "SLURM_JOB_ID" in os.environ and "CUDA_VISIBLE_DEVICES" in os.environ:
        print(f"GPUs given by Slurm: {os.environ['CUDA_VISIBLE_DEVICES']}", file=sys.stderr)
        return visible_gpus()
    pool = visible_gpus()
    if count == 0 or not pool:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return []
    if count > len(pool):
        raise ValueError(f"{count} GPUs asked for, {len(pool)} visible; lower the gpu resource")
    folder = folder or Path(tempfile.gettempdir()) / f"visemix-gpus-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    announced = False
    while not (chosen := _try_lock(pool, count, folder)):
        if not announced:
            print(f"waiting for {count} of GPUs {', '.join(pool)}", file=sys.stderr)
            announced = True
        time.sleep(1)
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)
    return chosen


def _try_lock(pool: list[str], count: int, folder: Path) -> list[str]:
    """Lock `count` devices, or none and return []."""
    locks: dict[str, int] = {}
    for device in pool:
        lock = os.open(folder / f"{device}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        locks[device] = lock
        if len(locks) == count:
            _held.extend(locks.values())
            return list(locks)
    for lock in locks.values():
        os.close(lock)
    return []


def device_name() -> str:
    """'cuda' when a leased GPU is usable by torch, else 'cpu'. Imports torch."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def processes_on(device: str, processes: int) -> int:
    """How many of `processes` may work on the device: PROCESS_BYTES of a GPU's memory for each.

    At least one; all of them on the CPU, and then torch is not imported.
    """
    if device == "cpu":
        return processes
    import torch

    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(processes, memory // PROCESS_BYTES))


def prepare_inference(device: str) -> None:
    """One thread of torch, since parallel work is done by processes; on a GPU equal bits each time.

    Imports torch.
    """
    import torch

    torch.set_num_threads(1)
    if torch.device(device).type == "cuda":
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def device_model() -> str:
    """The product name of the GPU that `device_name` means, or 'cpu'. Imports torch."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
