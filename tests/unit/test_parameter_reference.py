"""The page and the editor schema that are generated from the models of config/."""

import json

import jsonschema
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.config.messages import inner_section, known_keys
from visemix.config.parameters import Parameters
from visemix.config.reference import PAGE, SCHEMA, page, schema

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
REMEDY = "run `python -m visemix.config.reference`"
FILES = ["params.yaml", "scales/test.yaml", "scales/miniature.yaml", "scales/study.yaml"]


def fields(section=Parameters, path=""):
    for name, field in known_keys(section).items():
        inner, _ = inner_section(field)
        yield path + name, field, inner
        if inner:
            yield from fields(inner, f"{path}{name}.")


def test_the_committed_page_and_schema_are_those_of_the_models():
    assert (REPOSITORY / PAGE).read_text() == page(CONFIG, REPOSITORY), REMEDY
    assert json.loads((REPOSITORY / SCHEMA).read_text()) == json.loads(json.dumps(schema())), REMEDY


def test_every_parameter_has_a_description():
    found = {path: field.description for path, field, inner in fields() if inner is None}
    assert len(found) > 120
    assert [path for path, description in found.items() if not description] == []


def test_the_page_has_every_parameter_with_its_values():
    text = page(CONFIG, REPOSITORY)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    described = [path for path, field, inner in fields() if inner is None or field.description]
    assert len(rows) == len(described)
    steps = next(row for row in rows if row.startswith("| `steps`") and "100 epochs" in row)
    assert [cell.strip() for cell in steps.split("|")][2:7] == [
        "integer from 1", "`1527300`", "`400`", "`8000`", "`6`",
    ]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_shipped_files_fit_the_schema_and_name_it(name):
    path = REPOSITORY / name
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == (REPOSITORY / SCHEMA).resolve()
    jsonschema.validate(yaml.safe_load(path.read_text()), schema())


@pytest.mark.parametrize(
    "wrong",
    [{"modle": {}}, {"model": {"with": 8}}, {"training": {"mixup": -1}}, {"overrides": {"a": 1}}],
)
def test_the_schema_refuses_what_visemix_refuses(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema())
