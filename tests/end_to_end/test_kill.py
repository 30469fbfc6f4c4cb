"""The whole job, killed at a random moment and started again, ends in the same bytes."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time

from tests.conftest import REPOSITORY, clean_environment, snakemake

# files that hold no times and no paths
EXACT = (
    "data/corpora/**/*.mp4", "data/crops/*/*.npy", "data/crops/*/index.parquet",
    "runs/**/*.safetensors", "runs/**/history.csv", "evaluations/**/predictions.parquet",
    "tables/**/*",
)  # fmt: skip


def digests(directory):
    files = [f for pattern in EXACT for f in directory.glob(pattern) if f.is_file()]
    return {
        str(f.relative_to(directory)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files
    }


def test_killed_at_a_random_moment(finished_run, tmp_path):
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"),
        "--directory", str(tmp_path), "--cores", "2", "--config", "scale=test",
    ]  # fmt: skip
    job = subprocess.Popen(
        command, start_new_session=True, env=clean_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    moment = random.uniform(3, 25)
    print(f"killed after {moment:.1f} s")
    time.sleep(moment)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    snakemake(tmp_path, "--unlock")
    snakemake(tmp_path)
    expected = digests(finished_run)
    assert len(expected) > 50
    assert digests(tmp_path) == expected
