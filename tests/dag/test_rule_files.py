"""Rule files are short, and share no name of Python but through the Snakefile."""

import ast
import re

import pytest
from tests.helpers.workflow import REPOSITORY

FILES = sorted((REPOSITORY / "rules").glob("*.smk"))


def own_names(text: str) -> set[str]:
    """Names that a rule file imports or assigns outside its rules."""
    python = re.sub(r"^(?:use )?rule .*:\n(?:(?: .*)?\n)*", "", text, flags=re.M)
    names = set()
    for node in ast.parse(python).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)}
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_rule_file_keeps_its_names_to_itself(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 120
    names = own_names(text)
    for other in FILES:
        if other != file:
            used = {name for name in names if re.search(rf"\b{name}\b", other.read_text())}
            assert not used, (
                f"{file.name} and {other.name} share {used}; move them to the Snakefile"
            )


def test_names_are_found():
    names = {name for file in FILES for name in own_names(file.read_text())}
    assert {"beta_axis", "CURVE", "PARTS", "TABLES", "read_viseme_map", "ANGLES_CAPTION"} <= names
