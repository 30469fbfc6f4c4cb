"""Record a finished run with DVC, and restore it in a fresh clone.

Snakemake runs, DVC records. After a restore the files are right but Snakemake has no memory of
them; `snakemake --touch --forceall` gives it one. That blesses whatever lies there, so it is done
only after `dvc status` found every file, parameter and digest as recorded.
"""

import subprocess
import sys


class RecordError(RuntimeError):
    """A run cannot be recorded or restored; the message says why and what to do."""


def _call(*command: str, quiet: bool = False) -> subprocess.CompletedProcess:
    # python -m: the DVC and Snakemake of this environment, whatever PATH says
    print("+ " + " ".join(command), file=sys.stderr)
    return subprocess.run([sys.executable, "-m", *command], capture_output=quiet, text=True)


def _must(*command: str, remedy: str) -> None:
    if _call(*command).returncode:
        raise RecordError(f"`{' '.join(command)}` failed; {remedy}")


def _has_remote() -> bool:
    return bool(_call("dvc", "remote", "list", quiet=True).stdout.strip())


def record() -> None:
    """Record all outputs in dvc.lock and DVC's cache; push them when a DVC remote is configured.

    Raises RecordError when `snakemake` still has something to do, or when DVC fails.
    """
    plan = _call("snakemake", "--dry-run", "--quiet", "rules", "--cores", "1", quiet=True)
    if plan.returncode or "Nothing to be done" not in plan.stdout + plan.stderr:
        raise RecordError("the run is not finished; run `snakemake --cores all` first")
    _must("dvc", "commit", "--force", remedy="see DVC's message above")
    if _has_remote():
        _must("dvc", "push", remedy="check the remote with `dvc remote list`; nothing is lost")
    print("recorded; commit dvc.lock with git to keep it")


def restore() -> None:
    """Bring back the outputs that dvc.lock names, check them, and tell Snakemake about them.

    Pulls from the DVC remote when one is configured, else takes them from the local cache.
    Raises RecordError when something is missing or differs from the record.
    """
    if _has_remote():
        _must("dvc", "pull", remedy="the remote lacks files of this record, or cannot be reached")
    else:
        _must("dvc", "checkout", remedy="no DVC remote is configured and the cache lacks files")
    _must(
        "dvc", "status", "--quiet",
        remedy="files or params.yaml differ from dvc.lock; `dvc status` lists them",
    )  # fmt: skip
    _must(
        "snakemake", "--touch", "--forceall", "--cores", "1", "--quiet", "all",
        remedy="the recorded outputs are incomplete; run `snakemake --cores all`",
    )  # fmt: skip
    print("restored; `snakemake --dry-run` has nothing to do")
