"""A clock that jumps, and a data root that nothing may be written to."""

import os
import re
import shutil
import subprocess
import time

import pytest
import yaml
from tests.helpers import toy_training
from tests.helpers.workflow import planned_jobs, snakemake

from visemix.corpora import lrw
from visemix.faces.crops import crop_set

DAY = 86_400


def test_clock_that_jumps_back_between_runs(finished_run, tmp_path, sees):
    """The clock goes back by a day after a run, whose files are then of tomorrow -> nothing, and a
    new file is not made from such; `find . -newermt now -exec touch -d "$(date)" {} +`, run
    again"""
    tree = shutil.copytree(finished_run, tmp_path / "tree", symlinks=True)
    for folder in ("data", "runs", "evaluations", "tables", "report", "tracking"):
        for path in (tree / folder).rglob("*"):
            os.utime(path, (path.stat().st_atime + DAY, path.stat().st_mtime + DAY))
    assert planned_jobs(tree) == {}
    mixture = "data/mixtures/miniature-real.json"
    (tree / mixture).unlink()
    done = snakemake(tree, mixture, check=False)
    assert done.returncode
    said = re.search(r"Output \S+ has older .*clock skew problem", done.stdout + done.stderr)[0]
    sees(re.sub(r" \(\d.*?\)", "", said))
    remedy = 'find . -newermt now -exec touch -d "$(date)" {} +'
    subprocess.run(remedy, shell=True, cwd=tree, check=True)
    snakemake(tree, mixture)
    assert (tree / mixture).read_bytes() == (finished_run / mixture).read_bytes()
    assert planned_jobs(tree) == {}


def test_clock_that_jumps_within_a_training(tmp_path, monkeypatch, sees):
    """The clock goes back and forth while a network is trained -> nothing; checkpoints are written
    as often as ever"""
    toy_training.make_data(tmp_path)
    toy_training.run(tmp_path, tmp_path / "undisturbed")
    real, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + (-DAY if next(calls) % 2 else DAY))
    summary = toy_training.run(tmp_path, tmp_path / "run")
    assert 0 < summary["wall_seconds"] < DAY
    assert toy_training.results(tmp_path / "run") == toy_training.results(tmp_path / "undisturbed")
    sees("(no message)")


@pytest.fixture
def read_only_root(finished_run, tmp_path):
    """The miniature corpus, mounted so that nobody can write to it."""
    folder = tmp_path / "root"
    folder.mkdir()
    for options in (["--bind"], ["-o", "remount,bind,ro"]):
        source = finished_run / "data/corpora/miniature"
        mount = ["mount", *options, str(source), str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_read_only_data_root(read_only_root, finished_run, tmp_path, sees):
    """The corpus may only be read -> nothing: nothing is ever written there; run as ever"""
    with pytest.raises(OSError, match="Read-only file system"):
        (read_only_root / "new").touch()
    manifest = lrw.scan(read_only_root, "miniature")
    parameters = yaml.safe_load((finished_run / "params.yaml").read_text())["crops"]
    crop_set(manifest, "val", read_only_root, tmp_path / "crops", parameters, 1)
    shard = "shard-00000.npy"
    made = (tmp_path / "crops" / shard).read_bytes()
    assert made == (finished_run / "data/crops/miniature-val" / shard).read_bytes()
    sees("(no message)")
