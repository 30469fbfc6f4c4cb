from itertools import pairwise

import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.config.parameters import ParameterError, merge, resolve_parameters
from visemix.papers.cells import (
    compared_cells,
    model_of_run,
    read_paper,
    resolve_run,
    run_names,
    table_cells,
    table_inputs,
    table_names,
    table_runs,
)

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
PARAMETERS = resolve_parameters(CONFIG)


def test_lipgen_has_its_three_tables_and_their_published_values():
    cells = [c for t in table_names("lipgen") for c in table_cells("lipgen", t)]
    published = {c.id: c.published for c in cells if c.other_reading_of is None}
    assert len(published) == 10 + 3 + 7
    assert published["lipgen/table1/lipgen"] == published["lipgen/table3/tafm-0.1"] == 92.8
    assert published["lipgen/table2/lrw-syn"] == 81.8
    assert [c.published for c in table_cells("lipgen", "table3")] == [
        89.5, 91.8, 92.0, 92.4, 92.6, 92.8, 92.8, 92.5,
    ]  # fmt: skip


def test_every_cell_is_either_quoted_or_names_a_run():
    runs = set(run_names("lipgen"))
    for table in table_names("lipgen"):
        for cell in table_cells("lipgen", table):
            assert (cell.run is None) != (cell.quoted_from is None), cell.id
            assert cell.run is None or cell.run in runs
            assert set(cell.protocol) == {
                "word_boundary", "selection", "extra_data", "parameters",
            }  # fmt: skip
    paper = read_paper("lipgen")
    controls = {
        name: table["shuffled_control"]
        for name, table in paper["tables"].items()
        if "shuffled_control" in table
    }
    # the report looks for the full model's
    assert controls == dict.fromkeys(["table1", "table3"], paper["full_model"])
    assert all(run in table_runs("lipgen", table) for table, run in controls.items())


def test_another_reading_is_of_a_printed_cell_above_it_and_shows_its_value():
    for table in table_names("lipgen"):
        printed = {}
        for cell in table_cells("lipgen", table):
            if cell.other_reading_of:
                assert cell.published == printed[cell.other_reading_of].published
                assert cell.run != printed[cell.other_reading_of].run
            else:
                printed[cell.id] = cell
    reading = table_cells("lipgen", "table2")[3]
    assert (reading.id, reading.run) == ("lipgen/table2/lrw-syn-full", "lipgen-R6")
    assert reading.other_reading_of == "lipgen/table2/lrw-syn"


def test_both_readings_are_compared_with_the_row_above_the_printed_one():
    pairs = [(a.run, b.run) for a, b in compared_cells("lipgen", "table2")]
    assert pairs == [
        ("lipgen-R1", "lipgen-R2"),
        ("lipgen-R2", "lipgen-R3"),
        ("lipgen-R2", "lipgen-R6"),
    ]
    pairs = [(a.run[-2:], b.run[-2:]) for a, b in compared_cells("lipgen", "table3")]
    assert pairs == [
        ("R1", "R2"), ("R2", "R3"), ("R3", "R4"), ("R4", "R5"), ("R5", "R6"), ("R5", "R8"),
        ("R6", "R7"),
    ]  # fmt: skip
    assert compared_cells("lipgen", "table1") == []


def test_a_table_is_made_from_its_own_test_set_and_its_control():
    def evaluations(table):
        files = table_inputs("lipgen", table, PARAMETERS | {"seeds": [0, 1]})
        return [path.parts[1:4] for path in files if path.name == "predictions.parquet"]

    assert evaluations("table2") == [
        (run, seed, "miniature-pose")
        for run in ("lipgen-R1", "lipgen-R2", "lipgen-R3", "lipgen-R6")
        for seed in ("seed-0", "seed-1")
    ]
    assert evaluations("table1") == [
        ("lipgen-R6", seed, test_set)
        for test_set in ("miniature-test", "miniature-test-shuffled")
        for seed in ("seed-0", "seed-1")
    ]


def test_runs_differ_one_step_at_a_time():
    settings = [resolve_run(run, PARAMETERS) for run in run_names("lipgen")]
    keys = ("temporal_shift", "synthetic", "viseme_branch", "tafm_on", "lambda")
    steps = [[k for k in keys if a[k] != b[k]] for a, b in pairwise(settings)]
    assert steps == [
        ["temporal_shift"], ["synthetic"], ["viseme_branch"], ["tafm_on", "lambda"],
        ["lambda"], ["lambda"], ["viseme_branch", "tafm_on", "lambda"],
    ]  # fmt: skip


def test_runs_share_two_mixtures():
    names = {resolve_run(run, PARAMETERS)["mixture"] for run in run_names("lipgen")}
    assert names == {"miniature-real", "miniature-portrait-N1"}


def test_a_changed_run_is_marked():
    parameters = resolve_parameters(merge(CONFIG, {"runs": {"lipgen-R6": {"lambda": 0.3}}}))
    assert resolve_run("lipgen-R6", parameters)["lambda"] == 0.3
    assert resolve_run("lipgen-R6", parameters)["changed"] == ["lambda"]
    assert resolve_run("lipgen-R5", parameters)["changed"] == []


@pytest.mark.parametrize(
    ("run", "change", "message"),
    [
        ("lipgen-R2", {"synthetic": True}, "repeats = inf"),
        ("lipgen-R3", {"tafm_on": "words"}, "runs.lipgen-R3: tafm_on needs lambda and gamma"),
        ("lipgen-R3", {"lambda": 0.1}, "act only with tafm_on"),
        ("lipgen-R6", {"viseme_branch": "none"}, "tafm_on: visemes needs a viseme_branch"),
        ("lipgen-R8", {"viseme_branch": "none", "tafm_on": "both"}, "both needs a viseme_branch"),
    ],
)
def test_meaningless_changes_are_refused(run, change, message):
    parameters = resolve_parameters(merge(CONFIG, {"runs": {run: change}}))
    with pytest.raises(ValueError, match=message):
        resolve_run(run, parameters)


def test_the_auxiliary_branch_of_the_paper_and_our_other_reading_of_it():
    heads = {run: resolve_run(f"lipgen-{run}", PARAMETERS) for run in ("R3", "R4", "R6", "R8")}
    assert [(s["viseme_branch"], s["tafm_on"]) for s in heads.values()] == [
        ("none", "none"), ("own", "none"), ("own", "visemes"), ("shared", "words"),
    ]  # fmt: skip
    reading = next(c for c in table_cells("lipgen", "table3") if c.run == "lipgen-R8")
    assert reading.other_reading_of == "lipgen/table3/tafm-0.1"
    named = {r["id"]: r["severity"] for r in read_paper("lipgen")["readings"]}
    assert named["branch-wiring"] == named["tafm-head"] == "high"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"viseme_branch": True}, "runs.lipgen-R4: viseme_branch is True; choose one of none, own"),
        ({"viseme_branch": False}, "viseme_branch is False; choose one of none, own, shared"),
        ({"tafm": True}, "runs.lipgen-R4: tafm: True is now a choice; write tafm_on: none, vis"),
        ({"tafm_on": "viseme"}, "tafm_on is 'viseme'; choose one of none, visemes, words, both"),
    ],
)
def test_the_switches_of_old_name_what_they_have_become(change, message):
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(merge(CONFIG, {"runs": {"lipgen-R4": change}}))


def test_the_baseline_has_no_shift_and_pools_globally():
    baseline, lipgen = (model_of_run(run, PARAMETERS) for run in ("lipgen-R1", "lipgen-R2"))
    assert (baseline["temporal_shift"], baseline["pooling"]) == ([0.0] * 4, "average")
    assert (lipgen["temporal_shift"], lipgen["pooling"]) == (
        PARAMETERS["model"]["temporal_shift"], "conv3d",
    )  # fmt: skip


def test_unknown_names_are_explained():
    with pytest.raises(ValueError, match="no run 'lipgen-R9' in papers"):
        resolve_run("lipgen-R9", PARAMETERS)
    with pytest.raises(FileNotFoundError, match="there are: audiovsr, lipgen, synthvsr"):
        read_paper("lipgenn")
