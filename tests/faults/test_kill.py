"""Processes that are killed or meet each other: what is started again ends in the same bytes."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.helpers import toy_training
from tests.helpers.workflow import REPOSITORY, clean_environment, digests, snakemake

RUN = "runs/lipgen-R1/seed-0"
# A checkpoint after every step; it has no part in the result, but in what Snakemake compares.
CAREFUL = ["--config", "overrides={training: {checkpoint_seconds: 0.0001}}"]


@pytest.fixture
def tree(finished_run, tmp_path) -> Path:
    """A copy of the finished run, to be spoiled."""
    return shutil.copytree(finished_run, tmp_path / "tree", symlinks=True)


def start(directory: Path, *arguments: str) -> subprocess.Popen:
    """Snakemake in the background, in a process group of its own; its words are in words.log."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(directory / "Snakefile"),
        "--directory", str(directory), "--cores", "1", *arguments,
    ]  # fmt: skip
    with open(directory / "words.log", "w") as words:
        return subprocess.Popen(
            command, start_new_session=True, env=clean_environment(), stdout=words, stderr=words
        )


def locked(done: subprocess.CompletedProcess) -> str:
    """What Snakemake says where another one runs, or was killed, without the name of the tree."""
    assert done.returncode
    said = re.search(r"Error: Directory cannot be locked\..*?process", done.stdout + done.stderr)
    return said[0] + " ..."


def training_of(job: subprocess.Popen, tree: Path) -> psutil.Process:
    """The step that trains, frozen after its first checkpoint."""
    checkpoint = tree / "checkpoints" / Path(RUN).relative_to("runs") / "checkpoint.pt"
    while not checkpoint.exists():
        assert job.poll() is None, (tree / "words.log").read_text()
        time.sleep(0.001)
    (step,) = (
        process
        for process in psutil.Process(job.pid).children(recursive=True)
        if any(part.endswith(".train.py") for part in process.cmdline())
    )
    step.suspend()
    return step


def test_killed_step(tree, finished_run, sees):
    """A step is killed (kill -9, out of memory) -> of a training the steps since its last
    checkpoint, of other steps what they did; run again"""
    shutil.rmtree(tree / RUN)
    job = start(tree, f"{RUN}/training.json", *CAREFUL)
    training_of(job, tree).kill()
    assert job.wait(300) == 1
    words = (tree / "words.log").read_text()
    sees(
        re.search(r"Error in rule train:", words)[0]
        + " ... "
        + re.search(r"died with .*", words)[0]
    )
    assert not (tree / RUN / "training.json").exists()
    snakemake(tree, f"{RUN}/training.json", *CAREFUL)
    assert re.search(r'"resumed_at_step": [1-9]', (tree / RUN / "training.json").read_text())
    assert digests(tree) == digests(finished_run)


def test_killed_snakemake(tree, finished_run, sees):
    """Snakemake alone is killed, its step lives on -> nothing; `snakemake --unlock`, run again"""
    shutil.rmtree(tree / RUN)
    job = start(tree, f"{RUN}/training.json", *CAREFUL)
    step = training_of(job, tree)
    job.kill()
    job.wait()
    sees(locked(snakemake(tree, f"{RUN}/training.json", *CAREFUL, check=False)))
    snakemake(tree, "--unlock")
    step.resume()  # it writes the same files while they are re-run
    snakemake(tree, f"{RUN}/training.json", *CAREFUL)
    psutil.wait_procs([step], timeout=120)
    assert digests(tree) == digests(finished_run)


def test_two_snakemakes_in_one_tree(tree, finished_run, sees):
    """A second Snakemake is started in a tree in which one runs -> nothing: it refuses; wait for
    the first"""
    mixture = "data/mixtures/miniature-real.json"
    (tree / mixture).unlink()
    first = start(tree, mixture)
    while not list((tree / ".snakemake/locks").glob("*")):
        assert first.poll() is None, (tree / "words.log").read_text()
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    sees(locked(snakemake(tree, mixture, check=False)))
    first.send_signal(signal.SIGCONT)
    assert first.wait(300) == 0
    assert (tree / mixture).read_bytes() == (finished_run / mixture).read_bytes()


def test_stopped_by_the_scheduler(tmp_path, sees):
    """The scheduler stops a training (SIGTERM, SIGUSR1) -> nothing: it writes a checkpoint and ends
    with status 75; run again, or let the scheduler requeue it"""
    toy_training.make_data(tmp_path)
    toy_training.run(tmp_path, tmp_path / "undisturbed")
    folder = tmp_path / "stopped"
    for number in (signal.SIGTERM, signal.SIGUSR1):
        child = toy_training.start(tmp_path, folder, processes=1)
        child.send_signal(number)
        _, errors = child.communicate(timeout=300)
        assert child.returncode == 75, errors
    sees(re.sub(r"step \d+", "step N", re.search(r"stopped on request.*", errors)[0]))
    assert toy_training.run(tmp_path, folder)["resumed_at_step"] > 1
    assert toy_training.results(folder) == toy_training.results(tmp_path / "undisturbed")


def test_killed_process_of_several(tmp_path, sees):
    """One of several processes of a training is killed, or the one that watches them -> the steps
    since the last checkpoint; the others end by themselves; run again"""
    toy_training.make_data(tmp_path)
    toy_training.run(tmp_path, tmp_path / "undisturbed", processes=2)
    folder = tmp_path / "killed"
    for victim in ("one of them", "the watching one"):
        child = toy_training.start(tmp_path, folder, processes=2)
        ranks = toy_training.ranks_of(child)
        (ranks[1] if victim == "one of them" else child).kill()
        _, errors = child.communicate(timeout=300)
        if victim == "one of them":
            assert child.returncode == 1
            said = re.search(
                r"process \d( of 2 failed and the others were ended: ).*(; .*)", errors
            )
            sees(f"process N{said[1]}...{said[2]}")
        assert not psutil.wait_procs(ranks, timeout=60)[1]
    assert toy_training.run(tmp_path, folder, processes=2)["resumed_at_step"] > 0
    assert toy_training.results(folder) == toy_training.results(tmp_path / "undisturbed")


def test_killed_at_a_random_moment(finished_run, tmp_path, sees):
    """The power fails at any moment of the whole job -> the steps that were running; `snakemake
    --unlock`, then run again"""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(tmp_path), "--cores", "2", "--config", "scale=test",
    ]  # fmt: skip
    job = subprocess.Popen(
        command, start_new_session=True, env=clean_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list((tmp_path / ".snakemake").glob("locks/*")):
        assert job.poll() is None
        time.sleep(0.01)
    moment = random.uniform(0, 20)
    print(f"killed after {moment:.1f} s")
    time.sleep(moment)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    sees(locked(snakemake(tmp_path, check=False)))
    snakemake(tmp_path, "--unlock")
    snakemake(tmp_path, "tables/lipgen/table2.csv")  # of jobs of all kinds
    made, expected = digests(tmp_path), digests(finished_run)
    assert "tables/lipgen/table2.csv" in made
    assert made == {name: digest for name, digest in expected.items() if name in made}
