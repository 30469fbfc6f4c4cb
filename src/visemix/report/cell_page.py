"""The page of one cell: its value, where it comes from, and what the recogniser answered."""

from functools import lru_cache
from pathlib import Path

import pandas as pd

from visemix.config.parameters import flatten
from visemix.evaluation.statistics import wilson_interval
from visemix.papers.cells import Cell, read_paper, resolve_run, table_cells, table_names
from visemix.report import figures
from visemix.report.explorer import explore, read_viseme_sequences, word_matrix_picture
from visemix.report.provenance_graph import graph_svg
from visemix.report.site import HOME, Site, add_file, add_picture, write_page
from visemix.tables import lineage
from visemix.tables.results import Results


def cell_address(cell_id: str) -> str:
    """'cells/lipgen-table3-baseline.html' of the cell 'lipgen/table3/baseline'."""
    return f"cells/{cell_id.replace('/', '-')}.html"


def table_address(paper: str, table: str) -> str:
    """Address of the page of a table."""
    return f"tables/{paper}-{table}.html"


def write_cell_pages(site: Site, paper: str, results: Results, audits: dict[str, dict]) -> None:
    """Write the page of every cell of a paper's tables.

    Rows are read from tables/<paper>/<table>.csv; audits: of report.verdicts.read_audits.
    """
    parameters = results.parameters
    visemes = read_viseme_sequences(parameters["visemes"]["map"])

    @lru_cache
    def explored(run: str, test_set: str) -> dict:  # cells share runs
        predictions = results.predictions(run, test_set)
        picture = word_matrix_picture(predictions)
        name = f"confusion-{run}-{test_set}"
        return {
            "e": explore(predictions, visemes, parameters["seeds"]),
            "word_matrix": picture and add_picture(site, name, picture),
        }

    for table in table_names(paper):
        source = Path(f"tables/{paper}/{table}.csv")
        rows = pd.read_csv(source, keep_default_na=False, dtype=str).set_index("cell_id")
        cells = table_cells(paper, table)
        for at, cell in enumerate(cells):
            row, measured = rows.loc[cell.id].to_dict(), {}
            if row["n"]:
                measured = _measured(site, cell, source, results)
                measured |= explored(cell.run, cell.test_set)
            facts = {"audit": _audit(site, audits.get(cell.id)), "measured": measured}
            _write(site, paper, table, cell, row, neighbours=_neighbours(cells, at), **facts)


def _write(site: Site, paper: str, table: str, cell: Cell, row: dict, **facts) -> None:
    content = read_paper(paper)
    trail = [
        HOME,
        (f"papers/{paper}.html", paper),
        (table_address(paper, table), content["tables"][table]["caption"]),
    ]
    facts |= {"metric": content["metric"], "readings": content["readings"]}
    facts |= {"above": cell_address(row["above"]) if row["above"] else None}
    address = cell_address(cell.id)
    write_page(site, address, "cell.html", cell.row, trail, cell=cell, row=row, **facts)


def _audit(site: Site, audit: dict | None) -> dict | None:
    """An audit with the address of a copy of its own page, where it has one."""
    page = audit and audit["file"].with_suffix(".html")
    return audit and audit | {"page": page.is_file() and add_file(site, page, "audits")}


def _neighbours(cells: list[Cell], at: int) -> list[tuple[str, str, str]]:
    """(word, address, row) of the cell above and of that below, where there are any."""
    places = [("Row above", at - 1), ("Row below", at + 1)]
    return [
        (word, cell_address(cells[place].id), cells[place].row)
        for word, place in places
        if 0 <= place < len(cells)
    ]


def _measured(site: Site, cell: Cell, table: Path, results: Results) -> dict:
    """What the page of a cell shows only where the cell was measured here."""
    seeds, run = results.parameters["seeds"], cell.run
    steps = lineage.steps_of(cell, results, seeds[:1])
    digests = lineage.digest_rows(cell, lineage.artifacts(steps), results)
    found = {row["file"]: row["found"] for row in digests}
    record = results.training(run)
    description = f"From the corpus to the value of {cell.id}: the digests are in the table below"
    return {
        "graph": graph_svg(steps, found, description),
        "steps": steps,
        "digests": digests,
        "trainings": training_rows(run, results),
        "settings": resolve_run(run, results.parameters),
        "model": flatten(record["model"]),
        "training": flatten(record["training"]),
        "environment": flatten(record["environment"]),
        "code": record["digests"]["code"],
        "curve": _curve(site, run, results, 1 / len(record["words"])),
        "table_file": add_file(site, table),
        "predictions_file": steps[-1].reads[0],
    }


def training_rows(run: str, results: Results) -> list[dict]:
    """A row a training of a run: seed, record (training.json), validation.

    validation: accuracy of the selected model with its 95% Wilson interval, per cent, and n.
    """
    corpus = results.parameters["corpus"]["name"]
    n = results.json(Path(f"data/crops/{corpus}-val/manifest.json"))["clips"]
    rows = []
    for seed in results.parameters["seeds"]:
        record = results.training(run, seed)
        accuracy = record["best"]["accuracy"]
        low, high = wilson_interval(round(accuracy * n), n)
        validation = {"accuracy": 100 * accuracy, "low": 100 * low, "high": 100 * high, "n": n}
        rows.append({"seed": seed, "record": record, "validation": validation})
    return rows


def _curve(site: Site, run: str, results: Results, chance: float) -> str:
    address = f"pictures/training-{run}.png"
    if not (site.folder / address).is_file():  # cells share runs
        picture = figures.training_curves({run: results.histories(run)}, chance)
        address = add_picture(site, f"training-{run}", picture)
    return address
