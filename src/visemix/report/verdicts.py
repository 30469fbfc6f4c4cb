"""Verdicts that lie beside the tables: audits of cells, and the prose claims of the papers."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd

from visemix.evaluation.statistics import VERDICTS
from visemix.tables.shown import audit_files

CLAIMS = Path("tables/claims.csv")
AUDIT_VERDICTS = ("bitwise equal", "equal within tolerance", "differs", "cannot be checked")


def read_audits() -> dict[str, dict]:
    """{cell id: content of audits/<cell id>.json and `file`} in the working directory.

    Raises ValueError for a file without cell, verdict and reason, or with an unknown verdict.
    """
    found = {}
    for path in audit_files():
        audit = json.loads(path.read_text())
        if not {"cell", "verdict", "reason"} <= set(audit):
            raise ValueError(f"{path} is no audit of a cell; remove it or audit the cell again")
        if audit["verdict"] not in AUDIT_VERDICTS:
            raise ValueError(
                f"{path}: verdict {audit['verdict']!r} is none of {', '.join(AUDIT_VERDICTS)}; "
                "audit the cell again"
            )
        found[audit["cell"]] = audit | {"file": path}
    return found


def read_claims() -> list[dict]:
    """Rows of tables/claims.csv as text; [] where it was not made."""
    if not CLAIMS.is_file():
        return []
    return pd.read_csv(CLAIMS, keep_default_na=False, dtype=str).to_dict("records")


def counted(rows: list[dict], column: str) -> list[tuple[str, int]]:
    """How many rows have each value of a column, the most frequent first."""
    return Counter(row[column] for row in rows).most_common()


def comparison_verdicts(rows: list[dict]) -> dict[str, int]:
    """How many compared rows of tables have each of evaluation.statistics.VERDICTS."""
    found = Counter(row["verdict"] for row in rows if row["above"])
    return {verdict: found[verdict] for verdict in VERDICTS}
