"""docs/faults.md: one row a fault, made from the tests of tests/faults."""

import fcntl
import re

from tests.helpers.workflow import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "faults.md"
HEAD = """# Faults and what comes of them

Made by `python -m pytest tests/faults --write-faults` from the tests, each of which causes the
fault, reads the message and goes on as the last column says. What is re-run is compared byte by
byte with what comes out undisturbed. A test fails when this page is out of date.

| fault | what you see | what is lost | how it goes on |
|---|---|---|---|
"""


def row_of(test, message: str) -> list[str]:
    """What a test's docstring, 'fault -> loss; how it goes on', and the message say."""
    fault, outcome = " ".join(test.__doc__.split()).rstrip(".").split(" -> ")
    lost, goes_on = outcome.split("; ", 1)
    message = re.sub(r"\b[0-9a-f]{64}\b", "(sha256)", " ".join(message.split()))
    message = message.replace("|", r"\|")
    return [fault, message, lost, goes_on]


def rows() -> list[list[str]]:
    """The rows of the document."""
    if not DOCUMENT.is_file():
        return []
    lines = DOCUMENT.read_text().splitlines()[HEAD.count("\n") :]
    return [re.split(r" (?<!\\)\| ", line[2:-2]) for line in lines]


def write(row: list[str]) -> None:
    """Put a row in the place of the one of the same fault, or among the others by its name."""
    with open(DOCUMENT, "a") as lock:  # other processes test other faults
        fcntl.flock(lock, fcntl.LOCK_EX)
        table = {fault: others for fault, *others in [*rows(), row]}
        text = "".join(f"| {' | '.join([fault, *table[fault]])} |\n" for fault in sorted(table))
        DOCUMENT.write_text(HEAD + text)
