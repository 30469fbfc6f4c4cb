"""LRW's size through Slurm: how many jobs, and that a dry run of them ends."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY, clean_environment

from visemix.config.parameters import resolve_parameters
from visemix.plan import make_plan

REJECTED = 66
CLIPS = {"train": 488_766, "val": 25_000, "test": 25_000}
MINUTES = 10  # of a dry run at most; it takes seconds, whatever the number of clips
EVERYTHING = ("all", "generators", "beta_curve", "beta_samplings")
FIVE_SEEDS = ("scale=paper", "seeds=[0, 1, 2, 3, 4]")


@pytest.fixture(scope="module")
def lrw(tmp_path_factory):
    """A folder with a manifest of as many clips as LRW has; the clips are made up."""
    folder = tmp_path_factory.mktemp("paper")
    splits = np.repeat(list(CLIPS), list(CLIPS.values()))
    number = np.arange(len(splits))
    names = pd.Series(number).astype(str).str.zfill(6)
    manifest = pd.DataFrame(
        {
            "clip_id": "CLIP_" + names, "corpus": "lrw", "split": splits, "label": "ABOUT",
            "media": "lipread_mp4/" + names + ".mp4", "n_frames": 29, "fps": 25.0,
            "word_start_s": 0.4, "word_end_s": 0.8, "speaker": "", "sha256": names,
            "status": "ok", "reason": "",
        }
    )  # fmt: skip
    manifest.loc[: REJECTED - 1, ["status", "reason"]] = ["rejected", "no face"]
    (folder / "data/manifests").mkdir(parents=True)
    manifest.to_parquet(folder / "data/manifests/lrw.parquet")
    return folder


def jobs_with_the_slurm_profile(folder, targets, config):
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", *targets,
            "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder),
            "--workflow-profile", str(REPOSITORY / "profiles/slurm"),
            "--dry-run", "--quiet", "rules", "--config", *config,
        ],
        capture_output=True, text=True, env=clean_environment(), timeout=60 * MINUTES,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.M)
    }


def test_the_default_job_is_dozens_of_jobs(lrw):
    jobs = jobs_with_the_slurm_profile(lrw, [], ["scale=paper"])
    assert "manifest" not in jobs  # it is there
    assert (jobs["crops"], jobs["synthesis"], jobs["train"], jobs["evaluate"]) == (3, 1, 8, 13)
    assert jobs["total"] < 50


def test_parts_share_the_synthesis(lrw):
    config = ["scale=paper", "overrides={synthesis: {parts: 64}}"]
    jobs = jobs_with_the_slurm_profile(lrw, ["data/crops/lrw-portrait/manifest.json"], config)
    assert (jobs["synthesis_part"], jobs["synthesis"]) == (64, 1)


def test_all_targets_with_five_seeds_are_hundreds_of_jobs(lrw):
    jobs = jobs_with_the_slurm_profile(lrw, EVERYTHING, FIVE_SEEDS)
    assert jobs["train"] > 100
    assert jobs["total"] < 400


def test_the_plan_counts_the_clips_of_the_manifest(lrw, monkeypatch):
    monkeypatch.chdir(lrw)
    parameters = resolve_parameters(
        yaml.safe_load((REPOSITORY / "params.yaml").read_text()) | {"scale": "paper"}, REPOSITORY
    )
    plan = make_plan({"crops": 3}, parameters, gpus=8, cores=64)
    assert plan["work"][0] == sum(CLIPS.values()) - REJECTED
    assert plan["disk_bytes"][0] == (sum(CLIPS.values()) - REJECTED) * 29 * 96 * 96
