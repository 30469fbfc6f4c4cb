"""What a table says about how sure its numbers are, from made-up predictions."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.made_up_evaluations import CLIPS, write_evaluations

from visemix.evaluation.resolution import compare_rows, pooled_seed_variance
from visemix.evaluation.statistics import ONE_TRAINING, holm
from visemix.papers.cells import compared_cells
from visemix.report.front_page import answers
from visemix.tables.figures import table_figure
from visemix.tables.paper_table import (
    COLUMNS,
    build_table,
    controls,
    resolution,
    to_markdown,
    trainings_note,
)
from visemix.tables.power_table import ALWAYS_ASKED, power_markdown, power_table
from visemix.tables.results import Results

SHARES = [0.40, 0.42, 0.41, 0.60, 0.60, 0.62, 0.61, 0.61]
RUNS = {f"lipgen-R{i}": {"test": share, "pose": share / 2} for i, share in enumerate(SHARES, 1)}
SPEAKERS = [f"s{i // 10:02}" for i in range(CLIPS)]
PARAMETERS = {
    "corpus": {"name": "lrw"}, "synthesis": {"generator": "portrait"},
    "scale": "test", "seeds": [0, 1], "runs": {},
}  # fmt: skip
ONE_SEED = PARAMETERS | {"seeds": [0]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    shuffled = {"lipgen-R6": RUNS["lipgen-R6"] | {"test-shuffled": 0.1}}
    write_evaluations(folder, RUNS | shuffled, SPEAKERS)
    return folder


@pytest.fixture
def table(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return build_table("lipgen", "table3", Results(PARAMETERS))


def test_every_row_has_an_interval_over_its_speakers(table):
    assert table.columns.tolist() == COLUMNS
    assert (table.clusters == 30).all()
    assert (table.clustered_by == "speaker").all()
    assert (table.cluster_low < table.accuracy).all()
    assert (table.accuracy < table.cluster_high).all()
    # other trainings are allowed for as well, by their spread over the whole table
    assert (table.over_seeds_low < table.cluster_low + 0.5).all()
    assert (table.over_seeds_high > table.cluster_high - 0.5).all()


def test_where_speakers_are_unknown_the_table_says_so(tmp_path, monkeypatch):
    write_evaluations(tmp_path, {"lipgen-R6": RUNS["lipgen-R6"]}, [""] * CLIPS)
    monkeypatch.chdir(tmp_path)
    row = build_table("lipgen", "table1", Results(PARAMETERS)).iloc[-1]
    assert (row.clusters, row.clustered_by) == (CLIPS, "clip (speakers not known)")


def test_p_is_corrected_over_the_comparisons_of_the_table(table):
    compared = table[table.above != ""]
    rows = {run: Results(PARAMETERS).predictions(run, "test") for run in table.run}
    seeds = pooled_seed_variance(list(rows.values()))
    pairs = compared_cells("lipgen", "table3")
    expected = [compare_rows(rows[a.run], rows[b.run], seeds) for a, b in pairs]
    asked = compare_rows(rows["lipgen-R4"], rows["lipgen-R6"], seeds)  # on the front page
    adjusted = holm([result["p"] for result in [*expected, asked]])
    assert compared.p_holm.tolist() == pytest.approx(adjusted[:-1])
    assert compared.difference_low.tolist() == pytest.approx([100 * r["low"] for r in expected])
    assert compared.detectable_over_seeds.tolist() == pytest.approx(
        [100 * r["detectable_over_seeds"] for r in expected]
    )
    assert compared.p_holm.iloc[2] < 0.05 < compared.p_holm.iloc[0]


def test_the_words_follow_the_corrected_p(table):
    lines = to_markdown(table, "Table III", []).splitlines()
    rows = [line for line in lines if line.startswith("| LipGen w/")]
    words = [re.search(r": ((not )?resolved[^;]*);", row)[1] for row in rows]
    assert words == table.verdict[table.above != ""].tolist()
    assert words == [
        "resolved, higher" if p < 0.05 else "not resolved" for p in table.p_holm[table.above != ""]
    ]
    assert words.count("resolved, higher") == 1
    text = "\n".join(lines)
    assert "30 clusters by speaker" in text
    assert "corrected for the 7 comparisons of this table" in text
    assert table_figure(table, "Table III", "test", 10).startswith(b"\x89PNG")


def test_the_front_page_says_of_a_difference_what_its_table_says(folder, monkeypatch):
    """It took p without Holm, and called differences of single trainings resolved."""
    monkeypatch.chdir(folder)
    for parameters in (PARAMETERS, ONE_SEED):
        questions = [
            a["comparison"] for a in answers("lipgen", Results(parameters)) if "comparison" in a
        ]
        assert len(questions) == 4
        steps = build_table("lipgen", "table3", Results(parameters)).set_index("run")
        for run, said in zip(["lipgen-R3", "lipgen-R4"], questions, strict=False):
            assert said["verdict"] == steps.verdict[run]
            assert said["p_holm"] == pytest.approx(steps.p_holm[run])
        turned = build_table("lipgen", "table2", Results(parameters)).set_index("run")
        assert questions[3]["p_holm"] == pytest.approx(turned.p_holm["lipgen-R3"])
        one_training = {question["verdict"] for question in questions} == {ONE_TRAINING}
        assert one_training == (parameters is ONE_SEED)
        if one_training:  # McNemar's p of the first seeds alone was taken for an answer
            assert min(question["p"] for question in questions) < 0.05


def test_a_table_says_how_long_its_rows_trained(folder, monkeypatch, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for run in RUNS:
        mixed = run not in ("lipgen-R1", "lipgen-R2")
        record = {
            "parameters": 2e6, "parameters_at_test": 1e6, "epochs": 55.0 if mixed else 100.0,
            "mixture": {"sources": [{"role": "synthetic", "clips": 9}] if mixed else []},
            "training": {"steps": 400, "equal": "updates"},
        }  # fmt: skip
        Path(f"runs/{run}/seed-0/training.json").write_text(json.dumps(record))
    table = build_table("lipgen", "table3", Results(PARAMETERS))
    assert table.equal.tolist() == ["both"] * 2 + ["updates"] * 6
    assert table.updates.tolist() == [400] * 8
    assert table.epochs.tolist() == [100.0] * 2 + [55.0] * 6
    assert set(table.parameters) == {"1 M"}  # without the branch, which reads no clip
    note = trainings_note(table)
    assert note.startswith(
        "Trained with equal updates; epochs of its own mixture that each run saw"
    )
    assert note.endswith("lipgen-R2 100.0, lipgen-R3 55.0, " + ", ".join(
        f"lipgen-R{n} 55.0" for n in (4, 5, 6, 8, 7)
    ))  # fmt: skip
    assert note in to_markdown(table, "Table III", [])
    assert trainings_note(table.assign(equal="epochs")).startswith("Trained with equal epochs;")


def test_one_seed_resolves_no_row(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = build_table("lipgen", "table3", Results(ONE_SEED))
    assert table.detectable_over_seeds[1:].isna().all()
    text = to_markdown(table, "Table III", [])
    assert text.count(": not resolved: one training a row, and another seed may turn it") == 7
    assert text.count("resolved") == 7
    assert (table.p_holm[table.above != ""] < 0.05).any()  # which alone resolves nothing
    assert "nan" not in text


def test_a_paper_without_runs_has_a_table_of_published_values(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    table = build_table("audiovsr", "table4", Results(PARAMETERS))
    assert table.status.tolist() == ["literature"] * 4 + ["not yet run"] * 3
    assert controls("audiovsr", "table4", Results(PARAMETERS)) == []
    text = to_markdown(table, "Table 4", [])
    assert "| Exp. VII: LRS3 (433 h) + generated (433 h) | 26.0 |  |  |  | not yet run |" in text
    table = build_table("audiovsr", "table1", Results(PARAMETERS))  # has rates above 100%
    assert table_figure(table, "Table 1", "test", None, "word error rate (%)")[:4] == b"\x89PNG"


def test_power_says_for_each_comparison_what_would_resolve_it(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = power_table("lipgen", Results(PARAMETERS))
    asked = table.groupby(["table", "row"], sort=False).difference.apply(list)
    assert asked["table3", "lipgen/table3/lipgen-lrw"] == [ALWAYS_ASKED, 2.3]
    assert asked["table3", "lipgen/table3/lrw-syn"] == [ALWAYS_ASKED]  # is the published one
    assert asked["table2", "lipgen/table2/lrw-syn"] == [ALWAYS_ASKED, 1.3]
    assert len(asked) == 3 + 7
    steps = build_table("lipgen", "table3", Results(PARAMETERS)).set_index("cell_id")
    for row in table[table.table == "table3"].itertuples():
        assert row.detectable == pytest.approx(steps.detectable[row.row])
        first, second = (
            np.array([f.set_index("clip_id").correct.sort_index() for f in predictions])
            for predictions in (
                Results(PARAMETERS).predictions(steps.run[cell], "test")
                for cell in (row.above, row.row)
            )
        )
        assert row.discordant == pytest.approx(100 * np.mean(first != second))
        assert row.paper_clips == 25_000
    needed = table[table.difference == ALWAYS_ASKED].set_index("row")
    larger = table[table.difference == 2.3].set_index("row").iloc[0]
    same = needed.loc[larger.name]
    assert larger.clips_given_trainings < same.clips_given_trainings
    assert int(larger.least_seeds) <= int(same.least_seeds)
    text = power_markdown("lipgen", table, "test")
    assert text.count("\n* lipgen/") == len(table)
    assert "seeds a row" in text


def test_one_seed_tells_nothing_about_how_many_are_needed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = power_table("lipgen", Results(ONE_SEED))
    assert (table.least_seeds == "").all()
    assert all(math.isnan(sd) for sd in table.training_sd)
    assert table.words.str.contains("not known from one seed a row").all()


def test_each_evaluation_is_read_once_for_all_that_is_made_of_it(folder, monkeypatch):
    """A report read the predictions of the full model a dozen times."""
    monkeypatch.chdir(folder)
    read = []
    read_parquet = pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", lambda path: read.append(path) or read_parquet(path))
    results = Results(PARAMETERS)
    for table in ("table1", "table2", "table3"):
        build_table("lipgen", table, results)
        controls("lipgen", table, results)
        resolution("lipgen", table, results)
    answers("lipgen", results)
    power_table("lipgen", results)
    assert len(read) == len(set(read)) > 2 * len(RUNS)
