"""A real Slurm on this machine: one node with pretended GPUs, started and stopped by a test.

Needs root and Debian's packages slurm-wlm and munge. Slurm's configuration must lie in /etc/slurm,
because jobs do not get SLURM_CONF from who submits them; everything else is in a folder of its own.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("sbatch", "srun", "scontrol", "slurmctld", "slurmd", "munged", "setpriv")
ETC = Path("/etc/slurm")
MARK = "# of visemix's tests, which remove this file at their end\n"
CONFIGURATION = """\
ClusterName=visemix
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmdParameters=config_overrides
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
MinJobAge=3600
ReturnToService=2
KillWait=10
GresTypes=gpu
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no cluster can be started here, or None."""
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {', '.join(absent)}; install Debian's slurm-wlm and munge"
    if os.geteuid() != 0:
        return "not root: Slurm's daemons and /etc/slurm need it"
    found = ETC / "slurm.conf"
    if found.exists() and not found.read_text().startswith(MARK):
        return f"{found} exists: this machine belongs to a cluster already"
    return None


@contextmanager
def one_node_cluster(folder: Path, cores: int = 2, gpus: int = 8) -> Iterator[None]:
    """Run munged, slurmctld and slurmd; stop them, and every job, at the end in all cases.

    The GPUs are links to /dev/null, which Slurm hands out by number as it would real ones.
    `folder` gets state and logs. Raises RuntimeError, with the daemons' logs, when the node does
    not come up.
    """
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key-file"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    for number in range(gpus):
        (folder / f"gpu{number}").symlink_to("/dev/null")  # Slurm wants a device
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024
    host = socket.gethostname().partition(".")[0]
    files = {
        ETC / "slurm.conf": MARK + CONFIGURATION.format(**locals()),
        ETC / "gres.conf": f"Name=gpu File={folder}/gpu[0-{gpus - 1}]\n",
    }
    munge = [
        f"--{name}={folder}/munge.{name}"
        for name in ("key-file", "seed-file", "socket", "pid-file", "log-file")
    ]
    daemons = {
        "munged": [
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--seed-file={folder}/seed",
            *munge,
        ],
        "slurmctld": ["-D", "-c"],
        "slurmd": ["-D"],
    }
    ETC.mkdir(exist_ok=True)
    with ExitStack() as undo:  # in reverse order, whatever happens
        for path, text in files.items():
            path.write_text(text)
            undo.callback(path.unlink)
        for name, arguments in daemons.items():
            undo.callback(_stop, _start(folder / f"{name}.log", name, *arguments))
            time.sleep(1)
        try:
            _await_output("sinfo", "-h", "-o", "%T", is_="idle")
        except RuntimeError as error:
            logs = "\n".join(f"{p}:\n{p.read_text()}" for p in sorted(folder.glob("*.log")))
            raise RuntimeError(f"{error}\n{logs}") from None
        undo.callback(_cancel_all)
        yield


def _start(log: Path, *command: str) -> subprocess.Popen:
    # no daemon outlives a test that is killed
    command = ["setpriv", "--pdeathsig", "TERM", *command]
    with open(log, "w") as file:
        return subprocess.Popen(command, stdout=file, stderr=file)


def _cancel_all() -> None:
    subprocess.run(["scancel", "--user=root"], timeout=30, check=True)
    _await_output("squeue", "-h", "-t", "running,completing", is_="")


def _await_output(*command: str, is_: str) -> None:
    """Call until it prints `is_`. Raises RuntimeError after two minutes."""
    for _ in range(120):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        if done.returncode == 0 and done.stdout.strip() == is_:
            return
        time.sleep(1)
    raise RuntimeError(f"{' '.join(command)} says {done.stdout + done.stderr!r}, not {is_!r}")


def _stop(daemon: subprocess.Popen) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
