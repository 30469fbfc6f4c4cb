"""Standard error of a step goes to its log file as well as to the terminal."""

import sys
from pathlib import Path


class _Both:
    def __init__(self, terminal, file):
        self.terminal, self.file = terminal, file

    def write(self, text: str) -> int:
        self.terminal.write(text)
        if not text.startswith("\r"):  # progress bars are for people, not for the record
            self.file.write(text)
            self.file.flush()
        return len(text)

    def flush(self) -> None:
        self.terminal.flush()

    def isatty(self) -> bool:
        return self.terminal.isatty()

    def fileno(self) -> int:
        return self.terminal.fileno()


def log_to(path: str) -> None:
    """Copy everything written to standard error, uncaught errors too, into the file `path`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sys.stderr = _Both(sys.stderr, open(path, "w"))  # noqa: SIM115 open until the process ends
