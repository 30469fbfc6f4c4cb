"""What the papers claim: every number is recomputed from the cells; verdicts on made-up runs."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tests.helpers.made_up_evaluations import CLIPS, write_evaluations
from tests.helpers.workflow import REPOSITORY

from visemix.evaluation.published import independent_z, most_discordant
from visemix.papers import claims as claims_file
from visemix.papers.cells import find_cell, paper_names, read_paper, table_cells, table_names
from visemix.papers.claims import claim_cells, claims_inputs, read_claims
from visemix.tables.claims_table import COLUMNS, arithmetic, claims_markdown, claims_table
from visemix.tables.results import Results

CLAIMS, TEST_SETS = read_claims()
BY_ID = {claim["id"]: claim for claim in CLAIMS}
PARAMETERS = {
    "corpus": {"name": "lrw"}, "scale": "test", "seeds": [0, 1], "papers": ["lipgen"], "runs": {},
}  # fmt: skip


def decimals(number) -> int:
    return len(str(number).partition(".")[2])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_the_arithmetic_follows_from_the_cells_and_uses_all_of_them(claim):
    stated = claim.get("arithmetic", {})
    found = arithmetic(claim)
    assert {e: round(found[e], decimals(v)) for e, v in stated.items()} == stated
    names = set(re.findall(r"[a-z_]\w*", " ".join(stated)))
    assert names == {*claim.get("cells", {}), *claim.get("numbers", {})}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["id"])
def test_the_verdict_fits_the_printed_number(claim):
    assert claim["verdict"] in {
        "consistent", "misworded", "inconsistent", "not checkable", "not claimed",
    }  # fmt: skip
    if "printed" not in claim:
        return
    printed = claim["printed"]
    values = [round(value, decimals(printed)) for value in arithmetic(claim).values()]
    if claim["verdict"] == "consistent":
        assert values[0] == printed
    else:
        assert (printed in values) == (claim["verdict"] == "misworded")


def test_an_altered_cell_does_not_go_unnoticed(monkeypatch):
    """Every cell that a claim names, off by a tenth, breaks the arithmetic of that claim."""
    for claim in CLAIMS:
        stated = claim.get("arithmetic", {})
        for name, cell in claim_cells(claim).items():
            altered = claim_cells(claim) | {name: replace(cell, published=cell.published + 0.1)}
            monkeypatch.setattr("visemix.tables.claims_table.claim_cells", lambda _, a=altered: a)
            found = arithmetic(claim)
            assert any(round(found[e], decimals(v)) != v for e, v in stated.items()), cell.id


def test_all_claims_of_the_three_papers_are_there():
    assert len(BY_ID) == len(CLAIMS) == 67
    assert Counter(claim["id"].split("/")[0] for claim in CLAIMS) == {
        "lipgen": 18, "audiovsr": 17, "synthvsr": 32,
    }  # fmt: skip
    assert Counter(claim["verdict"] for claim in CLAIMS) == {
        "consistent": 40, "inconsistent": 10, "misworded": 9, "not claimed": 5, "not checkable": 3,
    }  # fmt: skip


def test_claims_is_no_paper_and_cells_without_runs_are_not_yet_run():
    assert paper_names() == ["audiovsr", "lipgen", "synthvsr"]
    counts = {"audiovsr": [6, 4, 4, 7, 4], "synthvsr": [12, 17, 4, 2, 5, 3, 4]}
    for paper, expected in counts.items():
        tables = [table_cells(paper, table) for table in table_names(paper)]
        assert [len(cells) for cells in tables] == expected
        assert all(cell.run is None for cells in tables for cell in cells)
        assert read_paper(paper)["metric"] == "word error rate (%)"
        used = {c.test_set for claim in CLAIMS for c in claim_cells(claim).values()}
    assert used - set(TEST_SETS) == {"cmlr-test"}  # its size is not stated
    with pytest.raises(ValueError, match="no cell 'lipgen/table1/none'"):
        find_cell("lipgen/table1/none")


def test_a_test_set_resolves_what_hand_calculation_says():
    # LipGen, 91.8 -> 92.0 on 25,000 clips: 50 clips net; (50 / 1.96)^2 = 650.8 clips may disagree
    assert independent_z(0.002, [0.918, 0.92], 25_000) == pytest.approx(
        0.002 / np.sqrt((0.918 * 0.082 + 0.92 * 0.08) / 25_000)
    )
    assert most_discordant(0.002, 25_000) == pytest.approx(650.8 / 25_000, rel=1e-3)
    assert most_discordant(0.013, 9890, 2) == pytest.approx(0.2175, abs=1e-3)
    assert most_discordant(0.1, 25_000) == 1
    # a word error rate above 1 is a count
    assert independent_z(0.5, [1.1], 100) == pytest.approx(0.5 / np.sqrt(1.1 / 100))


@pytest.fixture(scope="module")
def unrun():
    """The page of a project that runs no paper."""
    table = claims_table(Results(PARAMETERS | {"papers": []}))
    return table.set_index("id", drop=False)


@pytest.mark.parametrize(
    ("claim", "start"),
    [
        ("lipgen/c3", "yes, even unpaired (unpaired z = 3.72"),
        ("lipgen/c1", "no: unpaired z = 1.25"),
        (
            "lipgen/c4",
            "no: unpaired z = 0.82 at n = 25000 clips; "
            "paired while the two disagree on at most 2.6% of clips (4 to 8% may be expected)",
        ),
        ("lipgen/c6", "paired only"),
        ("lipgen/c8b", "borderline"),
        ("lipgen/c5", "yes, even unpaired (unpaired z = 2.58"),
        ("audiovsr/c3", "borderline"),
        ("audiovsr/c11", "not known: the size of cmlr-test is not stated"),
        ("synthvsr/c13-baseline-l", "no"),
        ("synthvsr/c14", "paired only"),
        ("synthvsr/c16", "not unpaired"),
        ("synthvsr/c20", "not asked"),
    ],
)  # fmt: skip
def test_whether_one_test_set_could_tell(unrun, claim, start):
    assert unrun.resolvable[claim].startswith(start)


def test_without_runs_every_claim_says_why(unrun):
    assert unrun.columns.tolist() == COLUMNS
    assert (unrun.verdict == "not run").all()
    assert unrun.ours["lipgen/c6"].startswith("not run: its paper is not among `papers`")
    assert unrun.ours["lipgen/c2"].startswith("not run: lipgen/table1/crotsm is quoted")
    assert unrun.ours["synthvsr/c14"].startswith("not run: no run for synthvsr/table4/lrs3-faces")
    assert unrun.ours["audiovsr/c7"].startswith("not run: it speaks of sentences")
    assert unrun.ours["lipgen/c11"].startswith("not run: no difference between rows is claimed")


SHARES = {  # read on the test set, and on the pose set
    "lipgen-R1": (0.30, 0.2), "lipgen-R2": (0.31, 0.2), "lipgen-R3": (0.30, 0.5),
    "lipgen-R4": (0.60, 0.5), "lipgen-R5": (0.60, 0.5), "lipgen-R6": (0.32, 0.5),
    "lipgen-R7": (0.61, 0.5), "lipgen-R8": (0.61, 0.5),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A working directory with made-up predictions of all runs on both test sets."""
    folder = tmp_path_factory.mktemp("claims")
    shares = {run: {"test": test, "pose": pose} for run, (test, pose) in SHARES.items()}
    write_evaluations(folder, shares, [""] * CLIPS)
    return folder


def test_runs_support_contradict_or_leave_a_claim_open(finished, monkeypatch):
    monkeypatch.chdir(finished)
    table = claims_table(Results(PARAMETERS)).set_index("id", drop=False)
    assert table.verdict["lipgen/c6"] == "supported"  # R3 30% -> R4 60%
    assert table.verdict["lipgen/c7"] == "contradicted"  # R4 60% -> R6 32%, said to be better
    assert table.verdict["lipgen/c4"] == "not resolved at this n"  # R2 31% -> R3 30%
    assert table.verdict["lipgen/c3"] == "supported"  # on the pose set
    assert table.verdict["lipgen/c5"] == "supported"  # and there by more than on the test set
    assert table.verdict["lipgen/c2"] == "not run"
    ours = table.ours["lipgen/c6"]
    assert re.match(r"\+[23]\d\.\d points \[\+.*\], n = 300 clips, 2 seeds, p \(Holm\) = ", ours)
    assert "on the corpus lrw at scale test" in ours
    assert ours.endswith("the printed +0.4 lies outside that interval")
    assert set(table.verdict[~table.id.str.startswith("lipgen")]) == {"not run"}
    text = claims_markdown(table, PARAMETERS)
    assert "Our verdicts hold for the corpus lrw at scale test, and for no other" in text
    assert "nan" not in text


def test_p_is_corrected_for_all_claims_asked(finished, monkeypatch):
    monkeypatch.chdir(finished)
    table = claims_table(Results(PARAMETERS))
    asked = table[table.verdict != "not run"]
    assert len(asked) == 11
    adjusted = asked.ours.str.extract(r"p \(Holm\) = (\S+),")[0].astype(float)
    assert (adjusted == adjusted.max()).sum() >= 2  # Holm never falls: they share the largest


def test_one_seed_resolves_nothing_and_changed_runs_are_named(finished, monkeypatch):
    monkeypatch.chdir(finished)
    changed = {"lipgen-R4": {"viseme_branch": "shared"}}
    table = claims_table(Results(PARAMETERS | {"seeds": [0], "runs": changed})).set_index("id")
    assert set(table.verdict) == {"not run", "not resolved: one training a row"}
    assert table.ours["lipgen/c6"].endswith("changed ones: lipgen-R4")
    assert "changed" not in table.ours["lipgen/c4"]


def test_the_page_is_made_from_the_evaluations_of_the_tables_that_claims_compare():
    files = {str(file) for file in claims_inputs(PARAMETERS)}
    evaluated = {tuple(file.split("/")[1:4]) for file in files}
    assert len(evaluated) == 2 * (8 + 4)  # seeds x (test set + pose set)
    assert ("lipgen-R6", "seed-1", "lrw-pose") in evaluated
    assert claims_inputs(PARAMETERS | {"papers": []}) == []
    assert claims_file.CLAIMS == REPOSITORY / "papers/claims.yaml"
