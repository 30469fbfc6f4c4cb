"""The front page: the questions of the run answered, small tables, and verdicts counted."""

from collections import Counter

import pandas as pd

from visemix.evaluation.resolution import named_clips, scores
from visemix.evaluation.statistics import accuracy_interval, speakers_of
from visemix.papers.cells import read_paper
from visemix.report.cell_page import cell_address
from visemix.report.site import Site, write_page
from visemix.report.verdicts import comparison_verdicts, counted
from visemix.tables.paper_table import kind
from visemix.tables.results import Results, summarise

STATUS = {"literature": "quoted from the literature", "not yet run": "not yet run"}


def write_front_page(
    site: Site, papers: list[dict], audits: dict[str, dict], claims: list[dict], **facts
) -> None:
    """Write index.html. papers: as of pages.paper_facts; facts: which other pages there are."""
    rows = [row for paper in papers for table in paper["tables"] for row in table["rows"]]
    ids = {row["cell_id"] for row in rows}
    statuses = list(Counter(map(_status, rows)).items())
    without = sum(bool(row["n"]) and row["cell_id"] not in audits for row in rows)
    audited = [*counted(list(audits.values()), "verdict"), ("not audited", without)]
    counts = [
        ("cells", None, statuses),
        ("compared rows", None, list(comparison_verdicts(rows).items())),
        ("audits of measured cells", None, audited),
        ("prose claims", "claims.html", counted(claims, "verdict")),
    ]
    shown = [
        audit | {"address": cell_address(cell) if cell in ids else None}
        for cell, audit in sorted(audits.items())
    ]
    facts |= {"papers": papers, "counts": counts, "audits": shown, "claims": bool(claims)}
    write_page(site, "index.html", "index.html", "Front page", **facts)


def answers(name: str, results: Results) -> list[dict]:
    """The questions that a paper's runs were made for, answered with n, interval and p.

    Entries have question and either summary (of tables.results.summarise) and chance, in per cent,
    or comparison (of tables.results.compared, as the table on the same test set has it).
    """
    paper = read_paper(name)
    full = results.predictions(paper["full_model"], "test")
    shuffled = results.predictions(paper["full_model"], "test-shuffled")
    chance = 100 / full[0].label.nunique()
    found = [
        {"question": "Does the full model read lips (chance below its interval)?"}
        | {"summary": _summary(full), "chance": chance},
        {"question": "What is left when the frames are shuffled in time?"}
        | {"summary": _summary(shuffled), "chance": chance},
    ]
    for asked in paper["questions"]:
        comparison = results.comparisons(name, asked["table"])[asked["without"], asked["with"]]
        found.append({"question": asked["question"], "comparison": comparison})
    return found


def _summary(predictions: list[pd.DataFrame]) -> dict:
    """`summarise` with the interval for other speakers, too."""
    clusters = speakers_of(named_clips(predictions))
    low, high = accuracy_interval(scores(predictions).mean(0), clusters)
    return summarise(predictions) | {"low": 100 * low, "high": 100 * high}


def _status(row: dict) -> str:
    """What a row of a table is, in words."""
    if not row["n"]:
        return STATUS[row["status"]]
    return f"measured at scale {row['status']}, {kind(row['departures'])}"
