"""Another generator of the runs in a finished tree: another synthetic set, mixture and model."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from tests.helpers.workflow import snakemake

from visemix.clips.shards import open_crops


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    """A copy of the finished run with one run of the generator `viseme`, and the sounds."""
    folder = tmp_path_factory.mktemp("viseme") / "visemix"
    shutil.copytree(finished_run, folder)
    snakemake(
        folder,
        "evaluations/lipgen-R3/seed-0/miniature-test/metrics.json",
        "data/sounds/miniature-train/index.parquet",
        "--config",
        "overrides={synthesis: {generator: viseme}}",
    )
    return folder


def test_every_pair_has_a_record_and_the_rejected_ones_a_reason(run):
    records = pd.read_parquet(run / "data/synthesis/miniature-viseme/records.parquet")
    pairs = pd.read_parquet(run / "data/synthesis/miniature-viseme/pairs.parquet")
    assert sorted(records.clip_id) == sorted(pairs.clip_id) and len(records) == 8
    assert set(records.generator) == {"viseme"}
    assert ((records.status == "rejected") == (records.reason != "")).all()
    assert (records.status == "accepted").sum() >= 6


def test_both_generators_speak_with_the_same_portraits_and_sounds(run):
    of = {
        name: pd.read_parquet(run / f"data/synthesis/miniature-{name}/pairs.parquet")
        for name in ("portrait", "viseme")
    }
    columns = ["portrait", "source", "label"]
    same = [frame[columns].sort_values(columns, ignore_index=True) for frame in of.values()]
    pd.testing.assert_frame_equal(*same)


def test_beta_counts_the_accepted_clips_and_the_model_saw_them(run):
    records = pd.read_parquet(run / "data/synthesis/miniature-viseme/records.parquet")
    accepted = int((records.status == "accepted").sum())
    mixture = json.loads((run / "data/mixtures/miniature-viseme-N1.json").read_text())
    assert mixture["sources"][1]["clips"] == accepted
    assert mixture["beta"] == pytest.approx(12 / (12 + accepted))
    record = json.loads((run / "runs/lipgen-R3/seed-0/training.json").read_text())
    assert record["mixture"] == mixture
    metrics = run / "evaluations/lipgen-R3/seed-0/miniature-test/metrics.json"
    assert json.loads(metrics.read_text())["n"] == 9


def test_mouths_move_within_the_word(run):
    with open_crops(run / "data/crops/miniature-viseme") as crops:
        index, pixels = crops.index, crops.read(np.arange(len(crops)))
    change = np.abs(np.diff(pixels[:, :, 32:64, 24:72].astype(int), axis=1)).mean((2, 3))
    times = (np.arange(28) + 1) / 25
    start, end = (index[f"word_{edge}_s"].to_numpy()[:, None] for edge in ("start", "end"))
    inside, outside = (times > start) & (times < end), (times < start - 0.2) | (times > end + 0.2)
    assert change[inside].mean() > 3 * change[outside].mean()


def test_the_lag_of_the_set_is_beside_the_records(run):
    lag = json.loads((run / "data/synthesis/miniature-viseme/lag.json").read_text())
    assert lag["clips"] >= 6 and lag["verdict"] in ("in step", "out of step", "not resolved")
