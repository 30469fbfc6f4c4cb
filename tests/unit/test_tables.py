"""What a table says about how sure its numbers are, from made-up predictions."""

import math
from itertools import pairwise

import numpy as np
import pytest
from tests.unit.made_up_evaluations import CLIPS, write_evaluations

from visemix.evaluation.resolution import compare_rows, pooled_seed_variance
from visemix.evaluation.statistics import holm
from visemix.report.figures import table_figure
from visemix.report.power import ALWAYS_ASKED, power_markdown, power_table
from visemix.report.table_text import to_markdown
from visemix.tables.results import COLUMNS, build_table, controls, read_predictions

SHARES = [0.40, 0.42, 0.41, 0.60, 0.60, 0.62, 0.61]
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
    write_evaluations(folder, RUNS, SPEAKERS)
    return folder


@pytest.fixture
def table(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return build_table("lipgen", "table3", PARAMETERS)


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
    row = build_table("lipgen", "table1", PARAMETERS).iloc[-1]
    assert (row.clusters, row.clustered_by) == (CLIPS, "clip (speakers not known)")


def test_p_is_corrected_over_the_comparisons_of_the_table(table):
    compared = table[table.above != ""]
    rows = [read_predictions(run, "test", PARAMETERS) for run in table.run]
    seeds = pooled_seed_variance(rows)
    expected = [compare_rows(a, b, seeds) for a, b in pairwise(rows)]
    assert compared.p_holm.tolist() == pytest.approx(holm([result["p"] for result in expected]))
    assert compared.difference_low.tolist() == pytest.approx([100 * r["low"] for r in expected])
    assert compared.detectable_over_seeds.tolist() == pytest.approx(
        [100 * r["detectable_over_seeds"] for r in expected]
    )
    assert compared.p_holm.iloc[2] < 0.05 < compared.p_holm.iloc[0]


def test_the_words_follow_the_corrected_p(table):
    lines = to_markdown(table, "Table III", []).splitlines()
    rows = [line for line in lines if line.startswith("| LipGen w/")]
    words = ["not resolved" if ": not resolved;" in row else "resolved" for row in rows]
    assert words == [
        "resolved" if p < 0.05 else "not resolved" for p in table.p_holm[table.above != ""]
    ]
    assert words.count("resolved") == 1
    text = "\n".join(lines)
    assert "30 clusters by speaker" in text
    assert "corrected for the 6 comparisons of this table" in text
    assert table_figure(table, "Table III", "test", 10).startswith(b"\x89PNG")


def test_one_seed_resolves_no_row(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = build_table("lipgen", "table3", ONE_SEED)
    assert table.detectable_over_seeds[1:].isna().all()
    text = to_markdown(table, "Table III", [])
    assert "resolved" not in text
    assert text.count("of these two trainings; another seed may turn it") == 6
    assert "nan" not in text


def test_a_paper_without_runs_has_a_table_of_published_values(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    table = build_table("audiovsr", "table4", PARAMETERS)
    assert table.status.tolist() == ["literature"] * 4 + ["not yet run"] * 3
    assert controls("audiovsr", "table4", PARAMETERS) == []
    text = to_markdown(table, "Table 4", [])
    assert "| Exp. VII: LRS3 (433 h) + generated (433 h) | 26.0 |  |  |  | not yet run |" in text
    table = build_table("audiovsr", "table1", PARAMETERS)  # has rates above 100%
    assert table_figure(table, "Table 1", "test", None, "word error rate (%)")[:4] == b"\x89PNG"


def test_power_says_for_each_comparison_what_would_resolve_it(folder, monkeypatch):
    monkeypatch.chdir(folder)
    table = power_table("lipgen", PARAMETERS)
    asked = table.groupby(["table", "row"], sort=False).difference.apply(list)
    assert asked["table3", "lipgen/table3/lipgen-lrw"] == [ALWAYS_ASKED, 2.3]
    assert asked["table3", "lipgen/table3/lrw-syn"] == [ALWAYS_ASKED]  # is the published one
    assert asked["table2", "lipgen/table2/lrw-syn"] == [ALWAYS_ASKED, 1.3]
    assert len(asked) == 3 + 6
    steps = build_table("lipgen", "table3", PARAMETERS).set_index("cell_id")
    for row in table[table.table == "table3"].itertuples():
        assert row.detectable == pytest.approx(steps.detectable[row.row])
        first, second = (
            np.array([f.set_index("clip_id").correct.sort_index() for f in predictions])
            for predictions in (
                read_predictions(steps.run[cell], "test", PARAMETERS)
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
    table = power_table("lipgen", ONE_SEED)
    assert (table.least_seeds == "").all()
    assert all(math.isnan(sd) for sd in table.training_sd)
    assert table.words.str.contains("not known from one seed a row").all()
