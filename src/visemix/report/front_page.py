"""The front page: the questions of the run answered, small tables, and verdicts counted."""

import pandas as pd

from visemix.evaluation.resolution import compare_rows
from visemix.papers.cells import read_paper, table_test_set
from visemix.report.cell_page import cell_address
from visemix.report.site import Site, write_page
from visemix.report.verdicts import comparison_verdicts, counted
from visemix.tables.results import read_predictions, seed_variance, summarise

STATUS = {"literature": "quoted from the literature", "not yet run": "not yet run"}


def write_front_page(
    site: Site, papers: list[dict], audits: dict[str, dict], claims: list[dict], **facts
) -> None:
    """Write index.html. papers: as of pages.read_results; facts: which other pages there are."""
    tables = [table for paper in papers for table in paper["tables"]]
    rows = [row for table in tables for row in table["rows"]]
    ids = {row["cell_id"] for row in rows}
    frames = [pd.DataFrame(table["rows"]) for table in tables]
    statuses = counted(rows, "status")
    without = sum(bool(row["n"]) and row["cell_id"] not in audits for row in rows)
    audited = [*counted(list(audits.values()), "verdict"), ("not audited", without)]
    counts = [
        ("cells", None, [(STATUS.get(s, f"measured at scale {s}"), k) for s, k in statuses]),
        ("compared rows", None, list(comparison_verdicts(frames).items())),
        ("audits of measured cells", None, audited),
        ("prose claims", "claims.html", counted(claims, "verdict")),
    ]
    shown = [
        audit | {"address": cell_address(cell) if cell in ids else None}
        for cell, audit in sorted(audits.items())
    ]
    write_page(
        site,
        "index.html",
        "index.html",
        title="Front page",
        papers=papers,
        counts=counts,
        audits=shown,
        claims=bool(claims),
        holm=any("p_holm" in frame for frame in frames),
        **facts,
    )


def answers(name: str, parameters: dict) -> list[dict]:
    """The questions that a paper's runs were made for, answered with n, interval and p.

    Entries have question and either summary (of tables.results.summarise) and chance, in per cent,
    or comparison (of evaluation.resolution.compare_rows).
    """
    paper = read_paper(name)
    full = read_predictions(paper["full_model"], "test", parameters)
    shuffled = read_predictions(paper["full_model"], "test-shuffled", parameters)
    chance = 100 / full[0].label.nunique()
    found = [
        {"question": "Does the full model read lips (chance below its interval)?"}
        | {"summary": summarise(full), "chance": chance},
        {"question": "What is left when the frames are shuffled in time?"}
        | {"summary": summarise(shuffled), "chance": chance},
    ]
    for asked in paper["questions"]:
        test_set = table_test_set(name, asked["table"])
        rows = [read_predictions(asked[key], test_set, parameters) for key in ("without", "with")]
        comparison = compare_rows(*rows, seed_variance(name, asked["table"], parameters))
        found.append({"question": asked["question"], "comparison": comparison})
    return found
