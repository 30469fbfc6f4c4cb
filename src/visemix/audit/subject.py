"""What is audited: a cell by its id, and the parameters that its run was made with."""

import difflib
from pathlib import Path

import yaml

from visemix.audit.record import AuditError
from visemix.config.parameters import merge
from visemix.papers.cells import PAPERS, TEST_SETS, Cell, read_paper, table_cells, table_names


def read_config(changes: list[str], path: Path = Path("params.yaml")) -> dict:
    """params.yaml with changes as Snakemake's --config takes them, e.g. 'scale=test'.

    Raises AuditError without such a file, or for a change that is not KEY=VALUE.
    """
    if not path.is_file():
        raise AuditError(f"there is no {path} here; audit in the folder that holds the Snakefile")
    given = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise AuditError(f"--config {change!r} is not KEY=VALUE")
        given[key] = yaml.safe_load(value)
    return merge(yaml.safe_load(path.read_text()), given)


def find_cell(cell_id: str) -> Cell:
    """The cell of that id. Raises AuditError with the nearest ids of papers/*.yaml."""
    named = sorted(path.stem for path in PAPERS.glob("*.yaml"))
    papers = [name for name in named if "tables" in read_paper(name)]
    known = {
        cell.id: cell
        for paper in papers
        for table in table_names(paper)
        for cell in table_cells(paper, table)
    }
    if cell_id in known:
        return known[cell_id]
    near = difflib.get_close_matches(cell_id, known, 3, cutoff=0.3) or list(known)[:3]
    raise AuditError(f"no cell {cell_id!r} in papers/*.yaml; nearest: {', '.join(near)}")


def why_not_ours(cell: Cell) -> str:
    """Why a cell has no run that could be made again; '' where it has one."""
    if cell.run is None and cell.quoted_from:
        return f"no run of ours is behind it: the paper quotes the value from {cell.quoted_from}"
    if cell.run is None:
        return "no run of ours is behind it yet: only its published value is known"
    if cell.test_set not in TEST_SETS:
        return f"not yet run: no rule makes the test set {cell.test_set!r}"
    return ""
