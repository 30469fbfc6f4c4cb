"""Lint of code and workflow, as a test so that one command covers all."""

import re
import subprocess
import sys

from tests.helpers.workflow import REPOSITORY


def call(*command):
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_ruff():
    for command in (["check"], ["format", "--check"]):
        done = call("ruff", *command, ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_mypy():
    done = call("mypy", "src")
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt():
    done = call("snakefmt", "--check", "Snakefile", "rules")
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint():
    done = call("snakemake", "--lint", "--cores", "1")
    found = set(re.findall(r"^ {4}\* (.*)$", done.stdout + done.stderr, re.MULTILINE))
    # the environment is one pip install; no conda environment or container is used
    assert found == {"Specify a conda environment or container for each rule.:"}


def test_no_test_imports_a_test():
    """What tests share is in tests/helpers."""
    shared = re.compile(r"^ *(?:from|import) +(?:tests\.\w+\.|tests\.)?(?:test_|conftest)", re.M)
    files = sorted((REPOSITORY / "tests").rglob("*.py"))
    assert [file.name for file in files if shared.search(file.read_text())] == []
