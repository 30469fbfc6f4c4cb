"""A finished run is recorded once, and comes back in a fresh clone with nothing left to do."""

import subprocess
import sys

import pytest
from tests.conftest import clean_environment, git, planned_jobs


def visemix(directory, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "visemix.cli", *arguments],
        cwd=directory, capture_output=True, text=True, env=clean_environment(),
    )  # fmt: skip


def dvc(*arguments, directory):
    command = [sys.executable, "-m", "dvc", *arguments]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def recorded(finished_run, tmp_path_factory):
    remote = tmp_path_factory.mktemp("remote")
    dvc("remote", "add", "--default", "store", str(remote), directory=finished_run)
    done = visemix(finished_run, "record")
    assert done.returncode == 0, done.stdout + done.stderr
    git(finished_run, "add", "--all")
    git(finished_run, "commit", "--quiet", "--message", "record")
    return finished_run


def clone(source, folder):
    git(folder.parent, "clone", "--quiet", str(source), str(folder))
    return folder


def test_a_recorded_run_comes_back_in_a_fresh_clone(recorded, tmp_path):
    fresh = clone(recorded, tmp_path / "fresh")
    assert not (fresh / "report").exists()
    done = visemix(fresh, "restore")
    assert done.returncode == 0, done.stdout + done.stderr
    assert planned_jobs(fresh) == {}
    for name in ("report/index.html", "tables/lipgen/table3.csv"):
        assert (fresh / name).read_bytes() == (recorded / name).read_bytes()
    # a cell of it can be audited
    audited = visemix(fresh, "audit", "lipgen/table3/tafm-0.1", "--from", "evaluation")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "bitwise equal" in audited.stdout
    # and it knows which parameters the restored files were made with
    change = "overrides={evaluation: {batch_size: 3}}"
    assert planned_jobs(fresh, "--config", change)["evaluate"] == 12


def test_recording_leaves_the_finished_run_finished(recorded):
    assert planned_jobs(recorded) == {}


def test_a_remote_that_lacks_files_is_not_blessed(recorded, tmp_path):
    fresh = clone(recorded, tmp_path / "fresh")
    config = fresh / ".dvc" / "config"
    config.write_text(
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path}/empty\n"
    )
    done = visemix(fresh, "restore")
    assert done.returncode == 1
    assert "remote lacks files" in done.stderr
    assert planned_jobs(fresh)


def test_an_unfinished_run_is_not_recorded(recorded, tmp_path):
    fresh = clone(recorded, tmp_path / "fresh")
    done = visemix(fresh, "record")
    assert done.returncode == 1
    assert "not finished" in done.stderr
