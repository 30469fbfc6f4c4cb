"""Fixtures shared by all tests. `finished_run` is the whole DAG at scale `test`, run once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """Folder of real talking faces (GRID clips, and words of them in LRW's layout)."""
    folder = REPOSITORY.parent / "shared" / "real_clips"
    if not folder.is_dir():
        pytest.skip(f"no real clips at {folder}")
    return folder


def snakemake(directory: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """Run the workflow of this repository in `directory`, at scale test unless told otherwise."""
    config = [] if "--config" in arguments else ["--config", "scale=test"]
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
            "--directory", str(directory), "--cores", "2", *arguments, *config,
        ],
        capture_output=True, text=True, env=os.environ | {"MLFLOW_TRACKING_URI": ""},
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"snakemake failed:\n{done.stdout}\n{done.stderr}")
    return done


def planned_jobs(directory: Path, *arguments: str) -> dict[str, int]:
    """{rule: number of jobs} that a dry run announces; {} when nothing is to be done."""
    done = snakemake(directory, "--dry-run", *arguments)
    output = done.stdout + done.stderr
    table = re.search(r"Job stats:\njob +count\n[- ]+\n(.*?)\ntotal ", output, re.DOTALL)
    if table is None:
        assert "Nothing to be done" in output, output
        return {}
    return {name: int(count) for name, count in re.findall(r"^(\S+) +(\d+)$", table[1], re.M)}


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """Working directory of a finished run of the default target at scale test; do not change it."""
    directory = tmp_path_factory.mktemp("finished-run")
    snakemake(directory)
    return directory
