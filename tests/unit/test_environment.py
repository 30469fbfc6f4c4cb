"""What a record says of the machine that made it."""

import json
import os
import subprocess
import sys

import pytest
import torch

from visemix.audit import comparison as audit
from visemix.papers.cells import find_cell
from visemix.run.provenance import environment

NO_GPU = {"cuda": None, "cudnn": None, "driver": None}
GPU = {"cuda": "12.8", "cudnn": "9.10.2", "driver": "570.86.15"}


def gpu_part(found):
    return {name: found[name] for name in NO_GPU}


def test_without_a_gpu_its_versions_are_null_and_torch_is_not_imported():
    code = (
        "import json, sys; from visemix.run.provenance import environment;"
        "print(json.dumps([environment(), 'torch' in sys.modules]))"
    )
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=hidden, capture_output=True, check=True)
    found, imported = json.loads(done.stdout)
    assert gpu_part(found) == NO_GPU
    assert not imported


@pytest.fixture
def a_gpu(monkeypatch, tmp_path):
    """A process that sees a GPU, as torch and nvidia-smi tell it."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\ncase "$1" in *driver_version*) echo 570.86.15;; *) echo 0;; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)


def test_with_a_gpu_cuda_cudnn_and_driver_are_recorded(a_gpu, monkeypatch):
    assert gpu_part(environment()) == GPU
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 8902)
    assert environment()["cudnn"] == "8.9.2"
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: None)
    assert environment()["cudnn"] is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # no lease: this process uses none
    assert gpu_part(environment()) == NO_GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_real_gpu_is_recorded():
    found = environment()
    assert found["cuda"] == torch.version.cuda
    assert all(found.values())


def recorded_and_now(tmp_path, monkeypatch, recorded, now):
    """What an audit lists of a training and an evaluation with these environments, and now."""
    cell = find_cell("lipgen/table3/tafm-0.1")
    threads = {"threads": 1}
    parameters = {
        "seeds": [0], "corpus": {"name": "x"}, "training": threads, "evaluation": threads,
    }  # fmt: skip
    for path in (
        f"runs/{cell.run}/seed-0/training.json",
        f"evaluations/{cell.run}/seed-0/x-{cell.test_set}/metrics.json",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        record = {"environment": recorded, "device": "cpu", "threads": 1}
        (tmp_path / path).write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(audit, "environment", lambda: now)
    monkeypatch.setattr(audit, "device_model", lambda: "cpu")
    entries = audit.environments(cell, parameters, "training")
    return {entry["name"]: entry for entry in entries}, audit.changes([], [], entries)


def test_an_audit_tells_a_record_without_a_gpu_from_one_that_says_nothing(tmp_path, monkeypatch):
    found, changed = recorded_and_now(tmp_path / "null", monkeypatch, NO_GPU, GPU)
    assert found["environment.cuda"] == {
        "name": "environment.cuda", "recorded": ["none"], "now": "12.8",
    }  # fmt: skip
    assert [c["what"] for c in changed] == [f"environment.{name}" for name in NO_GPU]
    found, changed = recorded_and_now(tmp_path / "old", monkeypatch, {"python": "3.11"}, NO_GPU)
    assert found["environment.cuda"]["recorded"] == [] and not changed
    found, changed = recorded_and_now(tmp_path / "same", monkeypatch, NO_GPU, NO_GPU)
    assert found["environment.driver"]["now"] == "none" and not changed
