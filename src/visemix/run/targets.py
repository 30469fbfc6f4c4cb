"""One line instead of a traceback, where Snakemake is asked for what there is not."""

import sys
from collections.abc import Callable
from functools import wraps


def in_one_line(function: Callable) -> Callable:
    """The function for use in a Snakefile, e.g. as an input function.

    Snakemake answers an exception with a traceback, but passes SystemExit on: a ValueError or a
    FileNotFoundError ends it with the message as its last line, and exit status 1.
    """

    @wraps(function)  # Snakemake reads the names of an input function's arguments
    def answered(*arguments):
        try:
            return function(*arguments)
        except (ValueError, FileNotFoundError) as error:
            sys.exit(str(error))

    return answered
