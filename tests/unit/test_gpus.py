import os
import signal
import subprocess
import sys

import pytest

from visemix.run import gpus

HOLD = """
import sys, pathlib
from visemix.run.gpus import lease_gpus
print(",".join(lease_gpus(int(sys.argv[1]), pathlib.Path(sys.argv[2]))), flush=True)
sys.stdin.read()
"""


def holder(count, folder, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in ("SLURM_JOB_ID",)}
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(count), str(folder)],
        env=clean | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def ids(process):
    return [x for x in process.stdout.readline().strip().split(",") if x]


def test_concurrent_jobs_get_devices_of_their_own(tmp_path):
    jobs = [holder(n, tmp_path, CUDA_VISIBLE_DEVICES="0,1,2,3") for n in (1, 2, 1)]
    taken = [ids(job) for job in jobs]
    assert sorted(device for job in taken for device in job) == ["0", "1", "2", "3"]
    assert sorted(map(len, taken)) == [1, 1, 2]
    for job in jobs:
        job.communicate()


def test_a_killed_job_frees_its_device(tmp_path):
    first = holder(1, tmp_path, CUDA_VISIBLE_DEVICES="5")
    assert ids(first) == ["5"]
    second = holder(1, tmp_path, CUDA_VISIBLE_DEVICES="5")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(0.5)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert ids(second) == ["5"]
    second.communicate()


def test_slurms_choice_stands(tmp_path):
    job = holder(1, tmp_path, CUDA_VISIBLE_DEVICES="2,3", SLURM_JOB_ID="7")
    assert ids(job) == ["2", "3"]
    job.communicate()


def test_no_gpu_means_cpu(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.lease_gpus(1, tmp_path) == []
    assert gpus.device_name() == "cpu"


def test_asking_for_more_than_there_are_is_an_error(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ValueError, match="2 GPUs asked for, 1 visible"):
        gpus.lease_gpus(2, tmp_path)
