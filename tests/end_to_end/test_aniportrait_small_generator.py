"""A generator that learns within the DAG: trained on the training split, then made to speak."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from tests.helpers.workflow import planned_jobs, snakemake

from visemix.clips.shards import open_crops
from visemix.generators.base import mouth_motion
from visemix.run.atomic import sha256_file
from visemix.synthesis.checks import MIN_MOTION

NAME = "aniportrait-small"
TARGET = (
    f"data/synthesis/miniature-{NAME}/records.parquet",
    "--config",
    f"overrides={{synthesis: {{generator: {NAME}}}}}",
)


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A copy of the finished run in which the generator was trained and used."""
    folder = tmp_path_factory.mktemp("aniportrait-small") / "visemix"
    shutil.copytree(finished_run, folder, symlinks=True)
    snakemake(folder, *TARGET)
    return folder


def test_it_learned_from_the_training_split_and_moves_with_the_sound(run):
    trained = json.loads((run / f"data/generators/miniature-{NAME}/generator.json").read_text())
    crops = run / "data/crops/miniature-train/manifest.json"
    assert trained["digests"]["data_crops_manifest"] == sha256_file(crops)
    assert trained["clips"] == 12
    assert trained["before"]["movement"] == 0
    # seeds 0 to 4: mean 0.23, sd 0.05, min 0.18
    assert trained["after"]["movement"] > 0.08


def test_every_clip_names_the_weights_and_the_rejected_ones_a_reason(run):
    records = pd.read_parquet(run / f"data/synthesis/miniature-{NAME}/records.parquet")
    weights = run / f"data/generators/miniature-{NAME}/weights.safetensors"
    assert len(records) == 8
    assert set(records.weights_sha256) == {sha256_file(weights)}
    assert ((records.status == "rejected") == (records.reason != "")).all()
    assert (records.status == "accepted").sum() >= 6


def test_mouths_move(run):
    with open_crops(run / f"data/crops/miniature-{NAME}") as crops:
        made = crops.read(np.arange(len(crops)))
    assert min(mouth_motion(clip) for clip in made) >= MIN_MOTION


def test_nothing_is_left_to_do(run):
    assert planned_jobs(run, *TARGET) == {}
