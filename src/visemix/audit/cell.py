"""Audit one cell of a paper's table: is its record sound, and does it come out again?

The record (tables/, evaluations/, runs/, data/) is only read. First every recorded digest on the
way to the cell is checked. Where all hold, the cell is re-run in a directory of its own and
compared with the record. The verdict is exactly one of:

* bitwise equal: everything re-run has the same bytes (JSON records: the same values but for
  comparison.NOT_COMPARED, such as wall-clock times);
* equal within tolerance: other bytes, but the accuracy of every seed's training lies within the
  tolerance of the recorded one, with 95% confidence (see audit.comparison);
* differs: an artifact or a parameter is not what the record says, or what was re-run is not
  equal within the tolerance. Too few clips to tell is 'differs' as well, and the reason says so;
* cannot be checked: something is missing, or the cell is no run of ours.
"""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from visemix.audit import TOLERANCE
from visemix.audit.comparison import (
    IDENTICAL,
    NOT_COMPARED,
    UNRESOLVED,
    WITHIN,
    changes,
    code_digests,
    compare_files,
    compare_predictions,
    compared_files,
    environments,
)
from visemix.audit.page import write_page
from visemix.audit.recorded import (
    CHANGED,
    MISSING,
    RECORD,
    AuditError,
    compare_parameters,
    read_record,
    verify,
    why_not_ours,
)
from visemix.audit.rerun import STARTS, rerun, work_folder
from visemix.config.parameters import resolve_parameters
from visemix.papers.cells import Cell, check_runs, evaluation_folder, find_cell
from visemix.papers.reproduction import departures, in_short
from visemix.run.atomic import write_json
from visemix.tables.lineage import table_file
from visemix.tables.results import Results, summarise

VERSION = 1
EQUAL, TOLERATED = "bitwise equal", "equal within tolerance"
DIFFERS, UNCHECKED = "differs", "cannot be checked"
EXIT_CODES = {EQUAL: 0, TOLERATED: 0, DIFFERS: 3, UNCHECKED: 4}


def audit(
    cell_id: str,
    config: dict,
    start: str = "training",
    tolerance: float = TOLERANCE,
    keep: bool = False,
    cores: int | str = "all",
    snakefile: Path = Path("Snakefile"),
) -> dict:
    """Audit a cell of the run in the working directory; writes audits/<cell>.{html,json}.

    Args:
        cell_id: '<paper>/<table>/<row key>'.
        config: the content of params.yaml, with the changes that the run was made with.
        start: the step from which on the cell is re-run, one of `STARTS`.
        tolerance: percentage points of accuracy.
        keep: leave what was re-run below audits/work.

    Returns:
        The content of the JSON file.

    Raises:
        AuditError: no such cell, wrong parameters, or a re-run that failed.
    """
    if start not in STARTS:
        raise AuditError(f"start is {start!r}; it must be one of {', '.join(STARTS)}")
    if not tolerance >= 0:
        raise AuditError(f"the tolerance is {tolerance}; give percentage points from 0")
    try:
        cell, parameters = find_cell(cell_id), resolve_parameters(config, snakefile.parent)
        check_runs(parameters)
    except ValueError as error:
        raise AuditError(str(error)) from None
    report = _head(cell, start, tolerance)
    if missing := why_not_ours(cell):
        report |= {"verdict": UNCHECKED, "reason": missing}
    else:
        _check_record(report, cell, parameters, start)
    if report["verdict"] is None:
        with work_folder(cell, keep) as folder:
            rerun(cell, parameters, config, start, folder, snakefile, cores)
            _compare(report, cell, parameters, start, tolerance, folder)
    report["changes"] = changes(report["parameters"], report["code"], report["environment"])
    if report["remade"] and report["first_difference"]:
        report["reason"] += f"; changed since the record: {_listed(report['changes'])}"
    target = Path("audits") / cell_id
    write_page(target.with_name(f"{target.name}.html"), report)
    write_json(target.with_name(f"{target.name}.json"), report)
    return report


def _head(cell: Cell, start: str, tolerance: float) -> dict:
    """A report without findings: every key that audits/<cell>.json has."""
    return {
        "version": VERSION, "cell": cell.id, "verdict": None, "reason": "",
        "first_difference": None, "row": cell.row, "published": cell.published, "run": cell.run,
        "test_set": cell.test_set, "from": start, "tolerance": tolerance,
        "audited": datetime.now(UTC).isoformat(timespec="seconds"), "scale": None, "departures": "",
        "recorded": None, "remade": None, "comparison": None, "inputs": [], "artifacts": [],
        "changes": [], "parameters": [], "code": [], "environment": [], "threads": None,
        "device": None, "not_compared": list(NOT_COMPARED),
    }  # fmt: skip


def _check_record(report: dict, cell: Cell, parameters: dict, start: str) -> None:
    """Fill in what the record says, and a verdict where it is incomplete or contradicts itself."""
    report["scale"] = parameters["scale"]
    report["departures"] = in_short(departures(cell.id.split("/")[0], parameters, cell.own_run))
    sealed = table_file(cell).with_suffix(".json")
    record = read_record(sealed)
    report["code"] = code_digests(record, parameters, start)
    report["parameters"] = compare_parameters(cell, parameters, record)
    changed = [p for p in report["parameters"] if p["recorded"] != p["now"]]
    if changed:
        first = changed[0]
        report["first_difference"] = f"parameter {first['name']}"
        report["verdict"] = DIFFERS
        report["reason"] = (
            f"parameter {first['name']} was {first['recorded']!r} when {sealed} was recorded and "
            f"is {first['now']!r} now{_others(changed)}; set it back, or give the audit the "
            "--config that the run was made with"
        )
        return
    report["inputs"] = verify(cell, parameters, record, start)
    missing = [entry for entry in report["inputs"] if entry["status"] == MISSING]
    changed = [entry for entry in report["inputs"] if entry["status"] == CHANGED]
    if all(entry["artifact"] != RECORD for entry in report["inputs"]):
        _describe_environment(report, cell, parameters, start)
    if changed:
        report["first_difference"] = changed[0]["path"]
        report["verdict"] = DIFFERS
        report["reason"] = f"the record contradicts itself: {changed[0]['finding']}"
        report["reason"] += _others(changed)
        return
    if missing:
        report["verdict"] = UNCHECKED
        report["reason"] = f"{missing[0]['finding']}{_others(missing)}; bring back what is missing "
        report["reason"] += "(`visemix restore`) or finish the run (`snakemake --cores all`)"
        return
    report["recorded"] = summarise(Results(parameters).predictions(cell.own_run, cell.test_set))


def _describe_environment(report: dict, cell: Cell, parameters: dict, start: str) -> None:
    report["environment"] = environments(cell, parameters, start)
    for name in ("threads", "device"):
        found = [e for e in report["environment"] if e["name"].endswith(name)]
        report[name] = {e["name"]: {"recorded": e["recorded"], "now": e["now"]} for e in found}


def _others(found: list) -> str:
    return f" (and {len(found) - 1} more, see the page)" if len(found) > 1 else ""


def _listed(found: list[dict]) -> str:
    names = [change["what"] for change in found]
    return (", ".join(names[:3]) or "nothing that is recorded") + _others(names[2:])


def _compare(report, cell, parameters, start, tolerance, folder: Path) -> None:
    """Fill in what came out of the re-run in `folder`, and the verdict."""
    report["artifacts"] = compare_files(compared_files(cell, parameters, start), folder)
    seeds = parameters["seeds"]
    recorded = Results(parameters).predictions(cell.own_run, cell.test_set)
    evaluated = [
        folder / evaluation_folder(cell.own_run, seed, parameters["corpus"]["name"], cell.test_set)
        for seed in seeds
    ]
    remade = [pd.read_parquet(path / "predictions.parquet") for path in evaluated]
    report["remade"] = summarise(remade)
    changed = [entry for entry in report["artifacts"] if not entry["equal"]]
    try:
        report["comparison"] = compare_predictions(recorded, remade, seeds, tolerance)
    except ValueError as error:  # other clips were rejected than in the record
        report |= {"verdict": DIFFERS, "first_difference": changed[0]["path"]}
        report["reason"] = f"{_first(changed)}; the test sets cannot be compared: {error}"
        return
    if not changed:
        report["verdict"] = EQUAL
        report["reason"] = (
            f"all {len(report['artifacts'])} artifacts, re-run from {start} on, are those of "
            f"the record; {_value(report['recorded'])}"
        )
        return
    report["first_difference"] = changed[0]["path"]
    equal = report["comparison"]["outcome"] in (IDENTICAL, WITHIN)
    report["verdict"] = TOLERATED if equal else DIFFERS
    report["reason"] = f"{_first(changed)}; {_statistics(report['comparison'], tolerance)}"


def _first(changed: list[dict]) -> str:
    return f"other bytes from {changed[0]['path']} on ({changed[0]['difference']})"


def _value(summary: dict) -> str:
    return (
        f"{summary['accuracy']:.1f}% [{summary['low']:.1f}, {summary['high']:.1f}], "
        f"n = {summary['n']}, {summary['seeds']} seed{'s' * (summary['seeds'] > 1)}"
    )


def _statistics(comparison: dict, tolerance: float) -> str:
    c = comparison
    if c["outcome"] == IDENTICAL:
        return f"all predictions are the same nevertheless, n = {c['n']}"
    found = (
        f"accuracy {c['difference']:+.2f} points, 95% intervals of all seeds within "
        f"[{c['low']:+.2f}, {c['high']:+.2f}], p = {c['p']:.2g}, n = {c['n']}"
    )
    if c["outcome"] == WITHIN:
        return f"{found}: within the tolerance of {tolerance:g} points"
    if c["outcome"] == UNRESOLVED:
        return (
            f"{found}: neither a difference nor equality within {tolerance:g} points can be shown "
            f"with so few clips, for which a tolerance of {max(-c['low'], c['high']):.1f} points "
            "would be needed"
        )
    return f"{found}: not within the tolerance of {tolerance:g} points"
