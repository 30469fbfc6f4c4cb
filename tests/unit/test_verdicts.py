import json
from pathlib import Path

import pytest

from visemix.report.verdicts import comparison_verdicts, read_audits
from visemix.tables.shown import shown_digest


def write_audit(cell, folder="audits", **content):
    path = Path(folder) / f"{cell}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    audit = {"cell": cell, "verdict": "bitwise equal", "reason": "same bytes"} | content
    path.write_text(json.dumps(audit))
    return path


def test_audits_are_read_by_cell_and_change_the_digest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_audits() == {} and shown_digest() == ""
    write_audit("lipgen/table3/baseline")
    digest = shown_digest()
    write_audit("lipgen/table3/tafm-0.1", verdict="differs", reason="loss of step 3")
    write_audit("x/y/z", folder="audits/work", verdict=None)  # an audit at work
    assert {cell: audit["verdict"] for cell, audit in read_audits().items()} == {
        "lipgen/table3/baseline": "bitwise equal",
        "lipgen/table3/tafm-0.1": "differs",
    }
    assert len({"", digest, shown_digest()}) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [({"verdict": "fine"}, "verdict 'fine' is none of"), ({}, "is no audit of a cell")],
)
def test_what_is_no_audit_is_refused_by_name(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = write_audit("lipgen/table3/baseline", **content)
    if not content:
        path.write_text("{}")
    with pytest.raises(ValueError, match=f"{path}.*{message}"):
        read_audits()


def test_comparisons_are_counted_by_their_verdicts():
    rows = [
        {"above": "", "verdict": ""},
        {"above": "a", "verdict": "resolved, higher"},
        {"above": "b", "verdict": "not resolved"},
        {"above": "c", "verdict": "not resolved: one training a row"},
    ]
    found = comparison_verdicts([*rows, *rows[:3]])
    assert found == {
        "resolved, higher": 2, "resolved, lower": 0, "not resolved": 2,
        "not resolved: one training a row": 1,
    }  # fmt: skip
