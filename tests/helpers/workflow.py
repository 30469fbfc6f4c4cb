"""This repository's workflow run by a test, and what a run of it leaves."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
EXACT = (
    "data/corpora/**/*.mp4", "data/crops/*/*.npy", "data/crops/*/index.parquet",
    "runs/**/*.safetensors", "runs/**/history.csv", "evaluations/**/predictions.parquet",
    "tables/**/*.csv", "tables/**/*.md", "tables/**/*.png", "tables/**/*-metrics.json",
)  # fmt: skip


def snakemake(directory: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run the workflow in `directory` at scale test, on two cores.

    A directory with a Snakefile of its own (a clone, see `finished_run`) uses that one.
    """
    own = directory / "Snakefile"
    workflow = own if own.exists() else REPOSITORY / "Snakefile"
    config = [] if own.exists() or "--config" in arguments else ["--config", "scale=test"]
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", str(workflow),
            "--directory", str(directory), "--cores", "2", *arguments, *config,
        ],
        capture_output=True, text=True, cwd=directory, env=clean_environment(),
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"snakemake failed:\n{done.stdout}\n{done.stderr}")
    return done


def clean_environment() -> dict[str, str]:
    """This process's environment without the settings that would lead outputs elsewhere."""
    return {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}


def planned_jobs(directory: Path, *arguments: str) -> dict[str, int]:
    """{rule: number of jobs} that a dry run announces; {} when nothing is to be done."""
    done = snakemake(directory, "--dry-run", *arguments)
    output = done.stdout + done.stderr
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal ", output, re.DOTALL)
    if table is None:
        assert "Nothing to be done" in output, output
        return {}
    return {name: int(count) for name, count in re.findall(r"^(\S+) +(\d+)$", table[1], re.M)}


def git(directory: Path, *arguments: str) -> str:
    """Run git in `directory` with an identity of its own; returns its standard output."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def clone_and_run(clone: Path) -> None:
    """Copy this repository to `clone`, at `scale: test`, and run its default target."""
    files = git(REPOSITORY, "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    for name in filter(None, files):
        if (REPOSITORY / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, clone / name)
    parameters = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(
        re.sub(r"^scale: \w+", "scale: test", parameters, flags=re.M)
    )
    git(clone, "init", "--quiet")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "clone")
    snakemake(clone)


def digests(directory: Path) -> dict[str, str]:
    """{path: sha256} of the files of a run that hold no times and no paths."""
    files = [f for pattern in EXACT for f in directory.glob(pattern) if f.is_file()]
    return {
        str(f.relative_to(directory)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }
