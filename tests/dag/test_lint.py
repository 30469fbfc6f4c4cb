"""Lint of code and workflow, as a test so that one command covers all."""

import json
import subprocess
import sys

from tests.conftest import REPOSITORY


def call(*command):
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_ruff():
    for command in (["check"], ["format", "--check"]):
        done = call("ruff", *command, ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt():
    done = call("snakefmt", "--check", "Snakefile", "rules")
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint():
    done = call("snakemake", "--lint", "json", "--cores", "1")
    report = json.loads(done.stdout[done.stdout.index("{") :])
    found = [
        (entry.get("rule", "Snakefile"), lint["title"])
        for group in report.values()
        for entry in group
        for lint in entry["lints"]
        # the environment is one pip install; no conda or container is used
        if "conda environment" not in lint["title"]
    ]
    assert found == []
