"""The `visemix` command, for people; Snakemake runs the experiments."""

import argparse
import sys

from visemix.audit import TOLERANCE
from visemix.run.record import RecordError, record, restore


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success and 1 with a message on standard error otherwise."""
    parser = argparse.ArgumentParser(prog="visemix", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record", help="record a finished run with DVC, push it to a remote if any")
    commands.add_parser("restore", help="bring back a recorded run in a fresh clone and check it")
    corpora = commands.add_parser("corpora", help="scan corpora, print what is there and missing")
    corpora.add_argument("roots", nargs="+", help="root of a corpus, or a folder of such roots")
    corpora.add_argument("--workers", type=int, default=1, help="processes")
    _add_audit(commands)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "audit":
            return _audit(chosen)
        if chosen.command == "corpora":
            return _print_corpora(chosen.roots, chosen.workers)
        {"record": record, "restore": restore}[chosen.command]()
    except RecordError as error:
        print(f"visemix {chosen.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _add_audit(commands) -> None:
    parser = commands.add_parser("audit", help="make one table cell again and compare it")
    parser.add_argument("cell", help="paper/table/row, for example lipgen/table3/tafm-0.1")
    parser.add_argument(
        "--from", dest="start", choices=("corpus", "training", "evaluation"), default="training",
        help="the first step that is made again; all before it is taken from the record (training)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=float, default=TOLERANCE, help="percentage points of accuracy (1.0)"
    )
    parser.add_argument("--keep", action="store_true", help="keep what was made, in audits/work")
    parser.add_argument("--cores", default="all", help="of Snakemake (all)")
    parser.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE",
        help="what Snakemake was given as --config when the run was made",
    )  # fmt: skip


def _audit(chosen: argparse.Namespace) -> int:
    """Print the verdict on a cell; 0 equal, 3 differs, 4 cannot be checked, 1 trouble."""
    from visemix.audit.cell import EXIT_CODES, audit  # torch: slow to import
    from visemix.audit.record import AuditError
    from visemix.audit.subject import read_config
    from visemix.run.parameters import ParameterError

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


if __name__ == "__main__":
    sys.exit(main())
