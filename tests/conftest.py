"""Fixtures shared by all tests. `finished_run` is the whole DAG at scale `test`, run once."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


REAL_CLIPS = REPOSITORY.parent / "shared" / "real_clips"
GRID_CLIPS = ("brbk7n", "lbax4n", "lwbsza", "pwij3p", "s1_lbaq6p", "s1_sgib8n", "sbwe5n", "swiz3n")
LRW_WORDS = ("AGAIN", "BLUE", "PLACE", "SOON", "THREE", "WHITE")  # two clips each


@pytest.fixture(scope="session")
def real_clips(tmp_path_factory) -> Path:
    """Real talking faces: eight clips of GRID in `grid`, twelve words of them in `lrw_layout`.

    A copy of the clips that tests know by name: they count, and others may lie beside them.
    """
    if not REAL_CLIPS.is_dir():
        pytest.skip(f"no real clips at {REAL_CLIPS}")
    return copy_named(REAL_CLIPS, tmp_path_factory.mktemp("real-clips"))


def copy_named(source: Path, target: Path) -> Path:
    """Copy the clips of GRID_CLIPS and LRW_WORDS, with what belongs to them; returns the target."""
    words = [Path("lrw_layout/lipread_mp4", word, "test") for word in LRW_WORDS]
    files = [Path("grid", f"{name}.mpg") for name in GRID_CLIPS]
    files += [Path("grid", f"{name}.align") for name in GRID_CLIPS if name.startswith("s1_")]
    for n, kind in ((1, "mp4"), (1, "txt"), (2, "mp4"), (2, "txt")):
        files += [folder / f"{folder.parts[2]}_{n:05d}.{kind}" for folder in words]
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
    return target


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


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """A clone of this repository with a finished run of the default target; do not change it.

    Its params.yaml says `scale: test`, as a user would write it.
    """
    clone = tmp_path_factory.mktemp("finished-run") / "visemix"
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
    return clone
