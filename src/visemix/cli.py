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
    chosen = parser.parse_args(arguments)
    try:
        {"record": record, "restore": restore}[chosen.command]()
    except RecordError as error:
        print(f"visemix {chosen.command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
