"""What a user finds after `snakemake --cores all`, here at scale test."""

import json
import re
import zipfile

import numpy as np
import pandas as pd
import pytest
from tests.helpers.workflow import clean_environment, snakemake

from visemix.papers.cells import run_names, table_cells, table_names

WORDS, TEST_CLIPS, SYNTHETIC = ["ABOUT", "FAMILY", "PEOPLE"], 9, 8


def metrics(folder, run, test_set="miniature-test"):
    return json.loads((folder / f"evaluations/{run}/seed-0/{test_set}/metrics.json").read_text())


def test_every_run_is_trained_and_tested_on_every_clip(finished_run):
    for run in run_names("lipgen"):
        record = json.loads((finished_run / f"runs/{run}/seed-0/training.json").read_text())
        assert record["words"] == WORDS
        assert record["threads"] == 1
        result = metrics(finished_run, run)
        assert result["n"] == TEST_CLIPS
        assert result["interval"][0] <= result["accuracy"] <= result["interval"][1]


def test_all_runs_get_equal_updates_and_the_papers_mixtures(finished_run):
    records = {
        run: json.loads((finished_run / f"runs/{run}/seed-0/training.json").read_text())
        for run in run_names("lipgen")
    }
    assert {r["training"]["steps"] for r in records.values()} == {6}
    beta = {run: r["mixture"]["beta"] for run, r in records.items()}
    assert beta["lipgen-R1"] == beta["lipgen-R2"] == 1.0
    assert {r["training"]["equal"] for r in records.values()} == {"updates"}
    assert beta["lipgen-R3"] == beta["lipgen-R7"] == pytest.approx(12 / (12 + SYNTHETIC))


def test_models_were_selected_on_the_validation_split(finished_run):
    for run in run_names("lipgen"):
        folder = finished_run / f"runs/{run}/seed-0"
        history = pd.read_csv(folder / "history.csv")
        best = json.loads((folder / "training.json").read_text())["best"]
        assert best["accuracy"] == pytest.approx(history.validation_accuracy.max())


def test_tables_carry_every_cell_with_n_interval_and_status(finished_run):
    for table in table_names("lipgen"):
        frame = pd.read_csv(finished_run / f"tables/lipgen/{table}.csv", keep_default_na=False)
        cells = table_cells("lipgen", table)
        assert frame.cell_id.tolist() == [cell.id for cell in cells]
        assert frame.published.tolist() == [cell.published for cell in cells]
        expected = ["literature" if cell.run is None else "test" for cell in cells]
        assert frame.status.tolist() == expected
        measured = frame[frame.status == "test"].astype({"accuracy": float, "low": float})
        assert (measured.n.astype(int) == TEST_CLIPS).all()
        assert (measured.low <= measured.accuracy).all()
        assert (measured.word_boundary == "no").all()
        assert measured.departures.str.startswith("corpus.name: miniature (paper: lrw); ").all()
        compared = frame[frame.above != ""]
        assert (compared.verdict == "not resolved: one training a row").all()
        if len(measured):
            text = (finished_run / f"tables/lipgen/{table}.md").read_text()
            assert "* No reproduction: corpus.name: miniature" in text
        assert (frame[frame.status != "test"].accuracy == "").all()


def test_rows_are_compared_with_the_row_above_on_the_same_clips(finished_run):
    frame = pd.read_csv(finished_run / "tables/lipgen/table3.csv", keep_default_na=False)
    own = frame.cell_id[frame.other_reading_of == ""].tolist()
    above = dict(zip(own[1:], own, strict=False))
    read = frame.other_reading_of.where(frame.other_reading_of != "", frame.cell_id)
    assert frame.above.tolist() == [above.get(cell, "") for cell in read]
    assert all(0 <= float(p) <= 1 for p in frame.p[1:])
    first, second = (metrics(finished_run, run)["accuracy"] for run in ("lipgen-R1", "lipgen-R2"))
    assert float(frame.difference[1]) == pytest.approx(100 * (second - first))


def test_every_claim_is_answered_for_this_corpus_alone(finished_run):
    claims = pd.read_csv(finished_run / "tables/claims.csv", keep_default_na=False)
    assert len(claims) == 67
    # one seed: nothing is resolved, and nothing that was not run has a verdict
    asked = claims[claims.verdict == "not resolved: one training a row"]
    assert len(asked) == 11
    assert asked.ours.str.contains(f"n = {TEST_CLIPS} clips, 1 seed,").all()
    assert asked.ours.str.contains("on the corpus miniature at scale test").all()
    assert (claims.verdict[~claims.id.isin(asked.id)] == "not run").all()
    assert "for no other" in (finished_run / "tables/claims.md").read_text()


def test_power_is_asked_for_every_step_of_the_tables(finished_run):
    power = pd.read_csv(finished_run / "tables/lipgen/power.csv", keep_default_na=False)
    steps = [
        cell
        for table in ("table2", "table3")
        for cell in pd.read_csv(finished_run / f"tables/lipgen/{table}.csv").cell_id[1:]
    ]
    assert list(dict.fromkeys(power.row)) == steps
    assert (power.n == TEST_CLIPS).all()
    assert (power.clips_given_trainings > TEST_CLIPS).all()


def test_controls_stand_under_table_three(finished_run):
    text = (finished_run / "tables/lipgen/table3.md").read_text()
    shuffled = metrics(finished_run, "lipgen-R6", "miniature-test-shuffled")
    assert shuffled["frames_shuffled"]
    assert f"frames shuffled in time (lipgen-R6): {100 * shuffled['accuracy']:.1f}" in text
    assert "chance (1 of 3 words): 33.3, n = 9" in text


def test_table_two_is_measured_on_turned_clips(finished_run):
    frame = pd.read_csv(finished_run / "tables/lipgen/table2.csv", keep_default_na=False)
    for row in frame.itertuples():
        result = metrics(finished_run, row.run, "miniature-pose")
        assert result["crops"] == "data/crops/miniature-pose"
        assert row.accuracy == pytest.approx(100 * result["accuracy"])
    assert frame.above.tolist()[2:] == ["lipgen/table2/lipgen-lrw"] * 2
    by_angle = pd.read_csv(finished_run / "tables/lipgen/table2-angles.csv")
    assert by_angle.groupby("run").n.sum().to_dict() == dict.fromkeys(frame.run, TEST_CLIPS)
    weighted = (by_angle.n * by_angle.accuracy).groupby(by_angle.run).sum() / TEST_CLIPS
    assert weighted[frame.run].tolist() == pytest.approx(frame.accuracy.tolist())


def test_every_page_of_the_report_says_what_it_is(finished_run):
    pages = list((finished_run / "report").rglob("*.html"))
    cells = {cell.id for table in table_names("lipgen") for cell in table_cells("lipgen", table)}
    others = {"index.html", "papers/lipgen.html", "generators.html", "quality.html"}
    others |= {
        "parameters.html",
        *(f"tables/lipgen-{table}.html" for table in table_names("lipgen")),
    }
    if (finished_run / "tables/claims.csv").is_file():
        others.add("claims.html")
    expected = others | {f"cells/{cell.replace('/', '-')}.html" for cell in cells}
    assert {str(page.relative_to(finished_run / "report")) for page in pages} == expected
    for page in pages:
        html = page.read_text()
        assert "This is the test scale, and it is not LRW." in html
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html), page
    html = (finished_run / "report/tables/lipgen-table2.html").read_text()
    assert html.count("our other reading of lipgen/table2/lrw-syn") == 1


def test_snakemakes_own_report_holds_tables_figures_and_captions(finished_run, tmp_path):
    snakemake(finished_run, "--report", str(tmp_path / "report.zip"))
    with zipfile.ZipFile(tmp_path / "report.zip") as report:
        held = {name.split("/")[-1]: report.read(name) for name in report.namelist()}
    shown = [f"{table}.{form}" for table in table_names("lipgen") for form in ("csv", "png")]
    for name in [*shown, "table2-angles.csv", "table2-angles.png", "power.csv"]:
        assert held[name] == (finished_run / "tables/lipgen" / name).read_bytes()
    assert held["claims.csv"] == (finished_run / "tables/claims.csv").read_bytes()
    assert "table3 of lipgen: the published value" in held["report.html"].decode()


def test_every_cell_is_one_mlflow_run(finished_run, monkeypatch):
    from mlflow import MlflowClient

    logged = json.loads((finished_run / "tracking/lipgen.json").read_text())["cells"]
    client = MlflowClient(f"sqlite:///{finished_run}/tracking/mlflow.db")
    experiment = client.get_experiment_by_name("visemix").experiment_id
    runs = client.search_runs([experiment])
    assert {r.data.tags["cell_id"]: r.info.run_id for r in runs} == logged
    assert len(runs) == 10 + 4 + 8
    r6 = client.get_run(logged["lipgen/table3/tafm-0.1"])
    assert r6.data.metrics["accuracy"] == pytest.approx(
        100 * metrics(finished_run, "lipgen-R6")["accuracy"]
    )
    assert "MLFLOW_TRACKING_URI" not in clean_environment()


def test_no_validation_or_test_clip_reaches_the_synthetic_set(finished_run):
    manifest = pd.read_parquet(finished_run / "data/manifests/miniature.parquet")
    folder = finished_run / "data/synthesis/miniature-portrait"
    pairs, records = (pd.read_parquet(folder / f"{n}.parquet") for n in ("pairs", "records"))
    sources = manifest.set_index("clip_id").loc[records.source]
    assert (sources.split == "train").all()
    held_out = manifest[manifest.split != "train"]
    assert not set(sources.speaker) & set(held_out.speaker)
    assert not set(sources.sha256) & set(held_out.sha256)
    assert not set(pairs.portrait) & set(manifest.speaker)  # portraits speak in no clip


def test_speakers_are_disjoint_and_synthetic_clips_are_of_other_people(finished_run):
    manifest = pd.read_parquet(finished_run / "data/manifests/miniature.parquet")
    speakers = manifest.groupby("split").speaker.agg(set)
    assert not speakers["train"] & speakers["test"]
    assert not speakers["train"] & speakers["val"]
    assert not speakers["val"] & speakers["test"]


def test_crops_are_the_contract_of_the_design(finished_run):
    folder = finished_run / "data/crops/miniature-test"
    index = pd.read_parquet(folder / "index.parquet")
    shard = np.load(folder / "shard-00000.npy", mmap_mode="r")
    assert shard.dtype == np.uint8
    assert shard.shape == (index.length.sum(), 96, 96)
    assert index.clip_id.is_monotonic_increasing
