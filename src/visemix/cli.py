"""The `visemix` command, for people; Snakemake runs the experiments."""

import argparse
import os
import sys

from visemix.audit import TOLERANCE
from visemix.record import RecordError, record, restore


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success and 1 with a message on standard error otherwise.

    `audit` also returns 3 (differs) and 4 (cannot be checked); its page says why.
    """
    parser = argparse.ArgumentParser(prog="visemix", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record", help="record a finished run with DVC, push it to a remote if any")
    commands.add_parser("restore", help="bring back a recorded run in a fresh clone and check it")
    commands.add_parser("track", help="log the cells of a finished run to MLflow once more")
    corpora = commands.add_parser("corpora", help="scan corpora, print what is there and missing")
    corpora.add_argument("roots", nargs="+", help="root of a corpus, or a folder of such roots")
    corpora.add_argument("--workers", type=_positive, default=1, help="processes")
    plan = commands.add_parser("plan", help="jobs, hours and disk of a scale, before it is run")
    plan.add_argument(
        "--scale", help="a file of scales/, or paper; that of params.yaml if left out"
    )
    plan.add_argument("--gpus", type=int, help="at a time; those of this machine if left out")
    plan.add_argument(
        "--cores", type=_positive, help="at a time; those of this machine if left out"
    )
    _add_audit(commands)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "audit":
            return _audit(chosen)
        if chosen.command == "corpora":
            return _print_corpora(chosen.roots, chosen.workers)
        if chosen.command == "track":
            return _track()
        if chosen.command == "plan":
            return _print_plan(chosen.scale, chosen.gpus, chosen.cores)
        {"record": record, "restore": restore}[chosen.command]()
    except RecordError as error:
        print(f"visemix {chosen.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed; give a whole number from 1")
    return int(text)


def _cores(text: str) -> int | str:
    return text if text == "all" else _positive(text)


def _track() -> int:
    """Log to MLflow; 1 where there is nothing to log or nobody to log it to."""
    from visemix.tracking import track_again  # pandas: slow to import

    try:
        records = track_again()
    except FileNotFoundError as error:
        print(f"visemix track: {error}", file=sys.stderr)
        return 1
    for one in records:
        print(one["pending"] or f"{one['paper']}: {len(one['cells'])} cells in MLflow")
    return int(any(one["pending"] for one in records))


def _add_audit(commands) -> None:
    parser = commands.add_parser("audit", help="re-run one table cell and compare it")
    parser.add_argument("cell", help="paper/table/row, for example lipgen/table3/tafm-0.1")
    parser.add_argument(
        "--from", dest="start", choices=("corpus", "training", "evaluation"), default="training",
        help="the first step that is re-run; all before it is taken from the record (training)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="percentage points of accuracy (1.0)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the files of the re-run, in audits/work"
    )
    parser.add_argument("--cores", type=_cores, default="all", help="of Snakemake (all)")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE",
        help="what Snakemake was given as --config when the run was made",
    )  # fmt: skip


def _audit(chosen: argparse.Namespace) -> int:
    """Print the verdict on a cell; 0 equal, 3 differs, 4 cannot be checked, 1 trouble."""
    from visemix.audit.cell import EXIT_CODES, audit  # torch: slow to import
    from visemix.audit.recorded import AuditError, read_config
    from visemix.config.parameters import ParameterError

    try:
        config = read_config(chosen.config)
        report = audit(
            chosen.cell, config, chosen.start, chosen.tolerance, chosen.keep, chosen.cores
        )
    except (AuditError, ParameterError) as error:
        print(f"visemix audit: {error}", file=sys.stderr)
        return 1
    print(f"{report['cell']}: {report['verdict']}: {report['reason']}")
    print(f"audits/{report['cell']}.html")
    return EXIT_CODES[report["verdict"]]


def _print_corpora(roots: list[str], workers: int) -> int:
    """Print the table of corpora; 1 where there is none."""
    from visemix.corpora.found import corpora_table  # pandas and PyAV: slow to import

    try:
        table = corpora_table(roots, workers)
    except FileNotFoundError as error:
        print(f"visemix corpora: {error}", file=sys.stderr)
        return 1
    if table.empty:
        print(f"visemix corpora: no known corpus in {', '.join(roots)}", file=sys.stderr)
        return 1
    print(table.to_string(index=False, justify="left"))
    return 0


def _print_plan(scale: str | None, gpus: int | None, cores: int | None) -> int:
    """Print the plan of the default job; 1 where there can be none."""
    from visemix import plan  # pandas and pydantic: slow to import
    from visemix.config.parameters import ParameterError
    from visemix.run.gpus import visible_gpus

    gpus = len(visible_gpus()) if gpus is None else gpus
    cores = cores or os.cpu_count() or 1
    try:
        parameters = plan.read_parameters(scale)
        made = plan.make_plan(plan.planned_jobs(parameters["scale"]), parameters, gpus, cores)
    except (plan.PlanError, ParameterError) as error:
        print(f"visemix plan: {error}", file=sys.stderr)
        return 1
    print(f"scale {parameters['scale']} from scratch; cores at a time: {cores}, GPUs: {gpus}\n")
    print(plan.describe(made))
    print("\nDisk: mouth crops alone. Steps may overlap: the wall times add up to too much.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
