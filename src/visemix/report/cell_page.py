"""The page of one cell: its value, where it comes from, and what the recogniser answered."""

from functools import cache

from visemix.config.parameters import flatten
from visemix.papers.cells import Cell
from visemix.report import figures
from visemix.report.explorer import explore, read_viseme_sequences, word_matrix_picture
from visemix.report.provenance_graph import graph_svg
from visemix.report.site import HOME, Site, add_file, add_picture, write_page
from visemix.tables import lineage
from visemix.tables.results import Results


def cell_address(cell_id: str) -> str:
    """'cells/lipgen-table3-baseline.html' of the cell 'lipgen/table3/baseline'."""
    return f"cells/{cell_id.replace('/', '-')}.html"


def write_cell_pages(site: Site, paper: dict, results: Results, audits: dict[str, dict]) -> None:
    """Write the page of every cell of a paper's tables.

    paper: of pages.paper_facts; audits: of report.verdicts.read_audits.
    """
    visemes = read_viseme_sequences(results.parameters["visemes"]["map"])
    runs = {run["name"]: run for run in paper["runs"]}

    @cache  # cells share runs
    def trained(run: str) -> dict:
        return runs[run] | _trained(site, run, results)

    @cache
    def explored(run: str, test_set: str) -> dict:
        predictions = results.predictions(run, test_set)
        picture = word_matrix_picture(predictions)
        name = f"confusion-{run}-{test_set}"
        return {
            "e": explore(predictions, visemes, results.parameters["seeds"]),
            "word_matrix": picture and add_picture(site, name, picture),
        }

    for table in paper["tables"]:
        trail = [HOME, (f"papers/{paper['key']}.html", paper["key"])]
        trail += [(table["address"], table["caption"])]
        cells, rows = table["cells"], {row["cell_id"]: row for row in table["rows"]}
        for at, cell in enumerate(cells):
            row, measured = rows[cell.id], {}
            if row["n"]:
                measured = trained(cell.own_run) | explored(cell.own_run, cell.test_set)
                measured |= _provenance(cell, results) | {"table_file": table["file"]}
            facts = {"cell": cell, "row": row, "measured": measured}
            facts |= {"metric": paper["metric"], "readings": paper["readings"]}
            facts |= {"above": cell_address(row["above"]) if row["above"] else None}
            facts |= {"audit": _audit(site, audits.get(cell.id))}
            facts |= {"neighbours": _neighbours(cells, at)}
            write_page(site, row["address"], "cell.html", cell.row, trail, **facts)


def _audit(site: Site, audit: dict | None) -> dict | None:
    """An audit with the address of a copy of its own page, where it has one."""
    if audit is None:
        return None
    page = audit["file"].with_suffix(".html")
    return audit | {"page": page.is_file() and add_file(site, page, "audits")}


def _neighbours(cells: list[Cell], at: int) -> list[tuple[str, str, str]]:
    """(word, address, row) of the cell above and of that below, where there are any."""
    places = [("Row above", at - 1), ("Row below", at + 1)]
    return [
        (word, cell_address(cells[place].id), cells[place].row)
        for word, place in places
        if 0 <= place < len(cells)
    ]


def _provenance(cell: Cell, results: Results) -> dict:
    """The files and steps behind the value of a cell, of the first training."""
    steps = lineage.steps_of(cell, results, results.parameters["seeds"][:1])
    digests = lineage.digest_rows(cell, lineage.artifacts(steps), results)
    found = {row["file"]: row["found"] for row in digests}
    description = f"From the corpus to the value of {cell.id}: the digests are in the table below"
    graph = graph_svg(steps, found, description)
    predictions = steps[-1].reads[0]
    return {"graph": graph, "steps": steps, "digests": digests, "predictions_file": predictions}


def _trained(site: Site, run: str, results: Results) -> dict:
    """How a run was trained: its first record, and the curves of all its trainings."""
    record = results.training(run)
    chance = 1 / len(record["words"])
    curves = figures.training_curves({run: results.histories(run)}, chance)
    return {
        **{name: flatten(record[name]) for name in ("model", "training", "environment")},
        "code": record["digests"]["code"],
        "curve": add_picture(site, f"training-{run}", curves),
    }
