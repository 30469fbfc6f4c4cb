"""docs/faults.md has a row for every test of a fault, and no other."""

import ast
from pathlib import Path

from tests.helpers import faults_table as table


def test_the_page_has_the_faults_that_are_tested():
    tested = set()
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for part in ast.parse(file.read_text()).body:
            if isinstance(part, ast.FunctionDef) and "sees" in [a.arg for a in part.args.args]:
                tested.add(" ".join(ast.get_docstring(part).split()).split(" -> ")[0])
    assert {row[0] for row in table.rows()} == tested
