"""`visemix plan`: hours follow from parameters and rates, and say what they rest on."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.cli import main
from visemix.config.parameters import resolve_parameters
from visemix.plan import PlanError, count_clips, crop_bytes, describe, make_plan

JOBS = {"manifest": 1, "crops": 3, "synthesis": 1, "pose_crops": 1, "train": 8, "evaluate": 13}


def parameters(scale="paper", **overrides):
    config = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    return resolve_parameters(config | {"scale": scale, "overrides": overrides}, REPOSITORY)


def rows(jobs=JOBS, scale="paper", gpus=8, cores=64, **overrides):
    return make_plan(jobs, parameters(scale, **overrides), gpus, cores).set_index("rule")


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_work_at_paper_scale():
    plan = rows()
    assert plan.work["crops"] == 488_766 + 25_000 + 25_000
    assert plan.work["synthesis"] == 400_000
    assert plan.work["evaluate"] == 13 * 25_000
    # 100 epochs of LRW for R1 and R2, of LRW and 400,000 clips for the six others
    real = 1_527_300 * 32 + 100 * 25_000 / 3
    mixed = 2_777_300 * 32 + 182 * 25_000 / 3
    assert plan.work["train"] == pytest.approx(2 * real + 6 * mixed)
    equal_updates = rows(training={"equal": "updates"})
    assert equal_updates.work["train"] == pytest.approx(8 * real)
    assert plan.disk_bytes["synthesis"] == 400_000 * 29 * 96 * 96
    assert plan.disk_bytes["pose_crops"] == 25_000 * 29 * 96 * 96


def test_a_manifest_is_believed_more_than_what_was_published():
    clips = pd.DataFrame({"split": ["train"] * 3 + ["val", "test"], "status": "ok", "n_frames": 20})
    clips.loc[0, "status"] = "rejected"
    Path("data/manifests").mkdir(parents=True)
    clips.to_parquet("data/manifests/lrw.parquet")
    counts = count_clips(parameters())
    assert (counts["train"], counts["val"], counts["test"], counts["frames"]) == (2, 1, 1, 20)
    assert crop_bytes("crops", counts) == 4 * 20 * 96 * 96


def test_a_manifest_of_another_scale_is_no_guide():
    Path("data/manifests").mkdir(parents=True)
    Path("data/manifests/miniature.parquet").touch()
    assert count_clips(parameters("study"))["train"] == 10 * 400


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(PlanError, match=r"synthesis\.clips is null"):
        rows(synthesis={"clips": None})
    with pytest.raises(PlanError, match="-1 GPUs"):
        rows(gpus=-1)


def test_few_words_are_their_share_of_lrw():
    assert count_clips(parameters(corpus={"words": ["ABOUT", "FAMILY"]}))["test"] == 100


def test_more_gpus_shorten_the_clock_and_not_the_bill():
    one, eight = rows(gpus=1).loc["train"], rows(gpus=8).loc["train"]
    assert one["wall_hours_high"] == pytest.approx(8 * eight["wall_hours_high"])
    assert one["gpu_hours_high"] == eight["gpu_hours_high"] > 0
    assert one["cpu_hours_high"] == 0


def test_parts_spread_a_published_generator_over_gpus():
    given = {"aniportrait": {"repository": "data/programs/AniPortrait", "python": "python"}}
    name = "external-aniportrait"
    whole = rows({"synthesis": 1}, external=given, synthesis={"generator": name})
    jobs = {"synthesis_part": 8, "synthesis": 1}
    parts = rows(jobs, external=given, synthesis={"generator": name, "parts": 8})
    assert whole.gpu_hours_low["synthesis"] > 2000
    assert parts.wall_hours_low["synthesis_part"] == pytest.approx(
        whole.wall_hours_low["synthesis"] / 8, rel=0.01
    )
    assert parts.gpu_hours_high["synthesis"] < 0.1


def test_without_a_gpu_trainings_take_cores():
    train = rows(gpus=0).loc["train"]
    assert train["gpu_hours_high"] == 0
    assert train["cpu_hours_low"] > 1000


@pytest.mark.parametrize("scale", ["test", "miniature", "study", "paper"])
def test_ranges_are_ranges_and_more_cores_never_take_longer(scale):
    plan, faster = (rows(scale=scale, gpus=0, cores=cores) for cores in (3, 16))
    for kind in ("cpu", "gpu", "wall"):
        assert (plan[f"{kind}_hours_low"] <= plan[f"{kind}_hours_high"]).all()
    assert (faster["wall_hours_high"] <= plan["wall_hours_high"]).all()
    assert faster["wall_hours_high"].sum() < plan["wall_hours_high"].sum()


def test_what_nobody_timed_is_said_to_be_unknown():
    plan = rows(synthesis={"generator": "lam"}, jobs=JOBS | {"train_generator": 1})
    assert plan.basis[["synthesis", "train_generator"]].tolist() == ["unknown"] * 2
    text = describe(plan.reset_index())
    assert "without the unknown" in text and "nobody has timed" in text


def test_every_rate_says_where_it_comes_from():
    rates = yaml.safe_load((REPOSITORY / "benchmarks" / "rates.yaml").read_text())
    for rate in [
        r for rule in rates.values() for r in (rule if isinstance(rule, list) else [rule])
    ]:
        assert rate["basis"] in ("measured", "reckoned", "published") and rate["source"]
        assert rate["seconds"][0] <= rate["seconds"][1]


def test_the_command_names_what_is_wrong(capsys):
    assert main(["plan", "--scale", "paper"]) == 1
    assert "no params.yaml here" in capsys.readouterr().err
    Path("params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    assert main(["plan", "--scale", "papr"]) == 1
    assert "'papr' is unknown" in capsys.readouterr().err
