"""Every test here is a fault. Its docstring reads 'fault -> what is lost; how it goes on'.

docs/faults.md is made from the docstrings and from what the tests see:

    python -m pytest tests/faults --write-faults
"""

import pytest
from tests.helpers import faults_table as table


def pytest_addoption(parser):
    parser.addoption("--write-faults", action="store_true", help="write docs/faults.md anew")


@pytest.fixture
def sees(request):
    """A function to hand over what a user reads; it must stand in docs/faults.md."""

    def check(message: str) -> None:
        row = table.row_of(request.function, message)
        if request.config.getoption("--write-faults", default=False):
            table.write(row)
        assert row in table.rows(), (
            f"docs/faults.md does not say {' | '.join(row)!r}; make it anew: "
            "python -m pytest tests/faults --write-faults"
        )

    return check
