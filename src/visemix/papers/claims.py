"""papers/claims.yaml: what the papers say in numbers, and the cells and runs that it rests on."""

from pathlib import Path

import yaml

from visemix.papers.cells import PAPERS, TEST_SETS, Cell, evaluation_files, find_cell, table_runs

CLAIMS = PAPERS / "claims.yaml"


def read_claims() -> tuple[list[dict], dict[str, dict]]:
    """The claims, and by name the test sets of the papers' tables; see the head of the file."""
    content = yaml.safe_load(CLAIMS.read_text())
    return content["claims"], content["test_sets"]


def claim_cells(claim: dict) -> dict[str, Cell]:
    """The cells that a claim rests on, by the names it gives them."""
    return {name: find_cell(cell_id) for name, cell_id in claim.get("cells", {}).items()}


def compared_pairs(claim: dict) -> list[tuple[Cell, Cell]]:
    """Pairs of cells whose second is said to be better; of two pairs, the second by more."""
    pairs = [claim["compare"]] if "compare" in claim else claim.get("compare_gains", [])
    cells = claim_cells(claim)
    return [(cells[worse], cells[better]) for worse, better in pairs]


def not_run_because(claim: dict, papers: list[str]) -> str | None:
    """Why no runs of ours, with these papers' tables made, say anything about a claim; or None."""
    if "not_run" in claim:
        return claim["not_run"]
    pairs = compared_pairs(claim)
    cells = [cell for pair in pairs for cell in pair]
    if not cells:
        return "no difference between rows is claimed that runs could show"
    quoted = [cell.id for cell in cells if cell.quoted_from]
    if quoted:
        return f"{quoted[0]} is quoted from another paper"
    missing = [cell.id for cell in cells if not cell.run or cell.test_set not in TEST_SETS]
    if missing:
        return f"no run for {missing[0]} yet"
    if cells[0].id.split("/")[0] not in papers:
        return "its paper is not among `papers` of params.yaml"
    if len({tuple(cell.run for cell in pair) for pair in pairs}) > 1:
        return "its two gains are not of the same two runs"
    return None


def claims_inputs(parameters: dict) -> list[Path]:
    """Evaluations of all rows of the tables in which a claim compares rows of ours, all seeds."""
    claims, _ = read_claims()
    files: dict[Path, None] = {}
    for claim in claims:
        if not_run_because(claim, parameters["papers"]):
            continue
        for cell, _ in compared_pairs(claim):
            runs = table_runs(*cell.id.split("/")[:2])
            files |= dict.fromkeys(evaluation_files(runs, cell.test_set, parameters))
    return list(files)
