"""The `visemix` command, for people; Snakemake runs the experiments."""

import argparse
import sys

from visemix.run.record import RecordError, record, restore


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success and 1 with a message on standard error otherwise."""
    parser = argparse.ArgumentParser(prog="visemix", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("record", help="record a finished run with DVC, push it to a remote if any")
    commands.add_parser("restore", help="bring back a recorded run in a fresh clone and check it")
    commands.add_parser("track", help="log the cells of a finished run to MLflow once more")
    corpora = commands.add_parser("corpora", help="scan corpora, print what is there and missing")
    corpora.add_argument("roots", nargs="+", help="root of a corpus, or a folder of such roots")
    corpora.add_argument("--workers", type=int, default=1, help="processes")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "corpora":
            return _print_corpora(chosen.roots, chosen.workers)
        if chosen.command == "track":
            return _track()
        {"record": record, "restore": restore}[chosen.command]()
    except RecordError as error:
        print(f"visemix {chosen.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _track() -> int:
    """Log to MLflow; 1 where there is nothing to log or nobody to log it to."""
    from visemix.run.tracking import track_again  # pandas: slow to import

    try:
        records = track_again()
    except FileNotFoundError as error:
        print(f"visemix track: {error}", file=sys.stderr)
        return 1
    for one in records:
        print(one["pending"] or f"{one['paper']}: {len(one['cells'])} cells in MLflow")
    return int(any(one["pending"] for one in records))


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
