"""A finished run is recorded once, and comes back in a fresh clone with nothing left to do."""

import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import clean_environment, git, planned_jobs


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
    """A copy of the finished run that was recorded."""
    tree = tmp_path_factory.mktemp("recorded") / "visemix"
    shutil.copytree(finished_run, tree, symlinks=True)
    dvc("remote", "add", "--default", "store", str(tree.parent / "remote"), directory=tree)
    done = visemix(tree, "record")
    assert done.returncode == 0, done.stdout + done.stderr
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "record")
    return tree


def clone(source, folder):
    git(folder.parent, "clone", "--quiet", str(source), str(folder))
    return folder


@pytest.fixture(scope="module")
def restored(recorded, tmp_path_factory):
    """A fresh clone in which `visemix restore` was run, and its output."""
    fresh = clone(recorded, tmp_path_factory.mktemp("restored") / "fresh")
    assert not (fresh / "report").exists()
    done = visemix(fresh, "restore")
    assert done.returncode == 0, done.stdout + done.stderr
    return fresh


def test_a_recorded_run_comes_back_in_a_fresh_clone(recorded, restored):
    assert planned_jobs(restored) == {}
    for name in ("report/index.html", "tables/lipgen/table3.csv"):
        assert (restored / name).read_bytes() == (recorded / name).read_bytes()
    # a cell of it can be audited
    audited = visemix(restored, "audit", "lipgen/table3/tafm-0.1", "--from", "evaluation")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "bitwise equal" in audited.stdout
    # and it knows which parameters the restored files were made with
    change = "overrides={evaluation: {batch_size: 3}}"
    assert planned_jobs(restored, "--config", change)["evaluate"] == 13


def test_dvc_repeats_compares_and_plots_an_experiment(restored):
    def dvc_says(*arguments):
        command = [sys.executable, "-m", "dvc", *arguments]
        return subprocess.run(
            command, cwd=restored, check=True, capture_output=True, text=True,
            env=clean_environment(),
        ).stdout  # fmt: skip

    assert "up to date" in dvc_says("repro")
    before = json.loads(dvc_says("metrics", "show", "--json"))[""]["data"]
    full = before["tables/lipgen/table3-metrics.json"]["data"]["tafm-0.1"]
    assert full["low"] <= full["accuracy"] <= full["high"] and full["n"] == 9

    dvc_says("exp", "run", "--set-param", "+runs.lipgen-R6.lambda=0.3")
    changed = json.loads(dvc_says("params", "diff", "--json"))["params.yaml"]
    assert changed == {"runs.lipgen-R6.lambda": {"old": None, "new": 0.3}}
    for run, value in (("lipgen-R6", 0.3), ("lipgen-R5", 0.05)):
        trained = json.loads((restored / f"runs/{run}/seed-0/training.json").read_text())
        assert trained["model"]["lambda"] == value
    rows = pd.read_csv(restored / "tables" / "lipgen" / "table3.csv").set_index("run")
    assert rows.changed["lipgen-R6"] == "lambda"
    assert planned_jobs(restored) == {}
    dvc_says("metrics", "diff")
    dvc_says("plots", "diff", "--out", "plots", "HEAD")
    page = (restored / "plots" / "index.html").read_text()
    assert "Table III" in page and "validation accuracy" in page


def test_recording_leaves_the_finished_run_finished(recorded):
    assert planned_jobs(recorded) == {}


def test_a_remote_that_lacks_files_is_not_blessed(recorded, tmp_path):
    fresh = clone(recorded, tmp_path / "fresh")
    point_to(fresh, tmp_path / "empty")
    done = visemix(fresh, "restore")
    assert done.returncode == 1
    assert "files of the record are missing" in done.stderr
    assert planned_jobs(fresh)


@pytest.mark.parametrize("damaged", ["a file", "a list of files"])
def test_a_remote_with_damaged_files_is_not_blessed(recorded, tmp_path, damaged):
    lock = yaml.safe_load((recorded / "dvc.lock").read_text())
    outs = {o["path"]: o["md5"] for stage in lock["stages"].values() for o in stage["outs"]}
    copy = shutil.copytree(recorded.parent / "remote", tmp_path / "remote")
    listing = stored(copy, outs["tables"])
    files = {file["relpath"]: file["md5"] for file in json.loads(listing.read_text())}
    target = stored(copy, files["lipgen/table3.csv"]) if damaged == "a file" else listing
    content = target.read_bytes()
    target.chmod(0o644)
    if damaged == "a file":  # one bit of one number
        target.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    else:  # a list that is valid and lacks a file
        target.write_text(json.dumps(json.loads(content)[1:]))
    fresh = clone(recorded, tmp_path / "fresh")
    point_to(fresh, copy)
    done = visemix(fresh, "restore")
    assert done.returncode == 1
    assert "tables" in done.stderr and "damaged" in done.stderr
    assert planned_jobs(fresh)


def stored(remote, digest):
    return remote / "files" / "md5" / digest[:2] / digest[2:]


def point_to(clone, remote):
    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n"
    (clone / ".dvc" / "config").write_text(config)


def test_an_unfinished_run_is_not_recorded(recorded, tmp_path):
    fresh = clone(recorded, tmp_path / "fresh")
    done = visemix(fresh, "record")
    assert done.returncode == 1
    assert "not finished" in done.stderr


def test_a_clone_without_a_record_says_so(tmp_path):
    (tmp_path / "bare").mkdir()
    done = visemix(tmp_path / "bare", "restore")
    assert done.returncode == 1
    assert "no dvc.lock" in done.stderr
