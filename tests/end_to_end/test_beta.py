"""`snakemake beta_curve` and `beta_samplings` on a finished default job, at scale test."""

import json
import shutil

import pandas as pd
import pytest
from tests.helpers.workflow import snakemake

OVERRIDES = "overrides={beta: {repeats: [1/2, 1, .inf], shares: [30, 50], samplings: 2}}"


@pytest.fixture(scope="module")
def tree(finished_run, tmp_path_factory):
    """A copy of the finished default job with the beta axis of two N beside the real clips."""
    folder = tmp_path_factory.mktemp("beta") / "tree"
    shutil.copytree(finished_run, folder)
    snakemake(folder, "beta_curve", "beta_samplings", "--config", OVERRIDES)
    snakemake(folder, "report/index.html", "--config", OVERRIDES)
    return folder


def record(tree, run):
    return json.loads((tree / f"runs/{run}/seed-0/training.json").read_text())


def test_the_curve_holds_all_points_of_both_controls(tree):
    curve = pd.read_csv(tree / "tables/beta/curve.csv", dtype={"repeats": str})
    assert curve.repeats.tolist() == ["1/2", "1", "inf"] * 2
    assert curve.control.tolist() == ["updates"] * 3 + ["epochs"] * 3
    beta = [6 / (6 + 8), 12 / (12 + 8), 1]  # 12 real training clips, 8 synthetic ones
    assert curve.beta.tolist() == pytest.approx(beta * 2)
    assert curve.run.tolist() == [
        "lipgen-R3-portrait-N1d2", "lipgen-R3", "lipgen-R2",
        "lipgen-R3-portrait-N1d2-epochs", "lipgen-R3-portrait-N1-epochs", "lipgen-R2",
    ]  # fmt: skip
    # batches of four: three hold the 12 real clips, three the 14 of N = 1/2, five the 20 of N = 1
    assert curve.steps.tolist() == [6, 6, 6, 6, 10, 6]
    assert (curve.n == 9).all()
    for row in curve.itertuples():
        metrics = tree / f"evaluations/{row.run}/seed-0/miniature-test/metrics.json"
        assert row.accuracy == pytest.approx(100 * json.loads(metrics.read_text())["accuracy"])


def test_the_network_is_the_same_at_every_point(tree):
    models = [record(tree, run)["model"] for run in ("lipgen-R3", "lipgen-R3-portrait-N1d2")]
    assert models[0] == models[1]
    assert record(tree, "lipgen-R3-portrait-N1d2")["entries_per_epoch"] == 6 + 8


def test_verdicts_compare_with_the_real_clips_alone(tree):
    differences = pd.read_csv(tree / "tables/beta/verdicts.csv", dtype={"repeats": str})
    curve = pd.read_csv(tree / "tables/beta/curve.csv", dtype={"repeats": str})
    real = curve[curve.repeats == "inf"].accuracy.iloc[0]
    measured = curve[curve.repeats != "inf"].accuracy - real
    assert differences.difference.tolist() == pytest.approx(measured.tolist())
    assert (differences.p_holm >= differences.p).all()
    text = (tree / "tables/beta/verdicts.md").read_text()
    assert "one training a point" in text


def test_draws_are_trained_on_clips_of_their_own(tree):
    table = pd.read_csv(tree / "tables/beta/samplings.csv", keep_default_na=False)
    assert table.run.tolist() == [
        "lipgen-R2", "lipgen-R3-portrait-G30A", "lipgen-R3-portrait-G30B",
        "lipgen-R3-portrait-G50A", "lipgen-R3-portrait-G50B",
    ]  # fmt: skip
    assert table.clips.tolist() == [12, 16, 16, 16, 16]
    seeds = {
        json.loads((tree / f"data/mixtures/miniature-portrait-G50{draw}.json").read_text())["seed"]
        for draw in "AB"
    }
    assert seeds == {0, 1}
    places = pd.read_parquet(tree / "tables/beta/features-portrait.parquet")
    assert places.role.value_counts().to_dict() == {"real": 12, "synthetic": 8}
    assert places[["x", "y"]].notna().all(axis=None)


def test_the_report_has_the_page_and_its_pictures(tree, finished_run):
    assert not (finished_run / "report/beta.html").exists()
    html = (tree / "report/beta.html").read_text()
    assert "Too few points for a fitted curve" in html
    for name in ("curve.png", "verdicts.png", "samplings-portrait.png"):
        assert f'src="pictures/tables-beta-{name}"' in html
        shown = (tree / f"report/pictures/tables-beta-{name}").read_bytes()
        assert shown == (tree / "tables/beta" / name).read_bytes()
