"""The chain at scale test on a real Slurm: GPUs side by side, a cancelled job, the same bytes."""

import json
import re
import shutil
import subprocess
import sys
import time
from datetime import datetime
from itertools import combinations
from pathlib import Path

import pytest
from tests.helpers.slurm_cluster import missing, one_node_cluster
from tests.helpers.workflow import REPOSITORY, clean_environment, digests, snakemake

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

# the profile as it stands, but for what two cores and an impatient test need otherwise
ON_SLURM = (
    "--workflow-profile", str(REPOSITORY / "profiles" / "slurm"), "--max-threads", "2",
    "--default-resources", "mem_mb=1000", "runtime=10", "--latency-wait", "5",
    "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "2",
)  # fmt: skip
GPUS = 8
LONG = "overrides={training: {steps: 600, validate_every: 200, checkpoint_seconds: 1}}"
MODEL = "runs/lipgen-R2/seed-1/model.safetensors"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    if reason := missing():
        pytest.skip(reason)
    with one_node_cluster(tmp_path_factory.mktemp("slurm") / "cluster", gpus=GPUS):
        yield


@pytest.fixture(scope="module")
def tree(cluster, tmp_path_factory):
    """Table II at scale test, from the rendering on.

    It has jobs of all kinds; the other tables have more of them, whose time is that of starting.
    """
    folder = tmp_path_factory.mktemp("slurm-run")
    snakemake(folder, *ON_SLURM, "tables/lipgen/table2.csv")
    return folder


def slurm_jobs(rule: str) -> list[dict[str, str]]:
    """What Slurm itself says of the jobs of a rule, in the order in which they came."""
    listing = subprocess.run(
        ["scontrol", "show", "jobs"], check=True, capture_output=True, text=True
    ).stdout
    jobs = [dict(re.findall(r"(\S+?)=(\S+)", block)) for block in listing.split("\n\n")]
    return [job for job in jobs if job.get("Comment", "").startswith(f"rule_{rule}_wildcards_")]


def test_the_same_bytes_as_without_slurm(tree, finished_run):
    made, expected = digests(tree), digests(finished_run)
    assert "tables/lipgen/table2.csv" in made
    assert made == {name: digest for name, digest in expected.items() if name in made}


def test_steps_with_work_are_jobs_of_slurm_and_small_ones_are_not(tree):
    jobs = {rule: slurm_jobs(rule) for rule in ("crops", "train", "evaluate", "table")}
    assert [len(found) for found in jobs.values()] == [2, 4, 4, 0]
    assert {job["NumCPUs"] for job in jobs["crops"]} == {"2"}


def test_gpu_jobs_side_by_side_see_devices_of_their_own(tree):
    """Its log says what a job saw, Slurm which jobs ran at the same time."""
    saw, ran = {}, {}
    for job in slurm_jobs("train"):
        run = re.search(r"lipgen-R\d", job["Comment"])[0]
        log = (tree / f"logs/train/{run}-seed-0.log").read_text()
        saw[run] = re.search(r"GPUs given by Slurm: (.*)", log)[1]
        ran[run] = [datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime")]
    assert set(saw.values()) <= {str(gpu) for gpu in range(GPUS)}
    together = [
        (one, other)
        for one, other in combinations(ran, 2)
        if max(ran[one][0], ran[other][0]) < min(ran[one][1], ran[other][1])
    ]
    assert together
    assert all(saw[one] != saw[other] for one, other in together)


def test_a_cancelled_training_goes_on_and_ends_in_the_same_bytes(tree, tmp_path):
    alone = tmp_path / "without-slurm"
    shutil.copytree(tree, alone)
    config = ("--config", "scale=test", LONG)
    snakemake(alone, MODEL, *config)

    done = len(slurm_jobs("train"))
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(tree), *ON_SLURM, MODEL, *config,
    ]  # fmt: skip
    with open(tmp_path / "log", "w") as log:
        run = subprocess.Popen(command, env=clean_environment(), stdout=log, stderr=log)
    cancelled = cancel_at_a_checkpoint(tree, run)
    status, said = run.wait(), (tmp_path / "log").read_text()
    assert status == 0, said
    assert f"SLURM-job '{cancelled}' failed, SLURM status is: 'CANCELLED'" in said
    states = [job["JobState"] for job in slurm_jobs("train")[done:]]
    assert states == ["CANCELLED", "COMPLETED"]
    record = json.loads((tree / MODEL).with_name("training.json").read_text())
    assert record["resumed_at_step"] > 0
    assert (tree / MODEL).read_bytes() == (alone / MODEL).read_bytes()


def cancel_at_a_checkpoint(tree: Path, run: subprocess.Popen) -> str:
    """Cancel the training as soon as there is something to go on with; returns its JobId."""
    checkpoint = tree / "checkpoints/lipgen-R2/seed-1/checkpoint.pt"
    while not checkpoint.exists():
        assert run.poll() is None, "the run ended before its first checkpoint"
        time.sleep(0.2)
    job = slurm_jobs("train")[-1]["JobId"]
    subprocess.run(["scancel", job], check=True)
    return job
