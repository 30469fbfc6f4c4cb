"""Generators side by side: their measures as one table, and as text."""

import json
from pathlib import Path

import pandas as pd

from visemix.evaluation.statistics import holm, verdict, wilson_interval
from visemix.synthesis.measure_generator import VERSION
from visemix.tables.text import render, with_interval

COLUMNS = [
    "measure", "name", "unit", "better", "generator", "value", "low", "high", "n", "p",
    "p_holm", "trainings", "verdict", "reference", "reference_value", "reference_low",
    "reference_high", "reference_n",
]  # fmt: skip


def read_measures(path: str | Path) -> dict:
    """What measure_generator wrote. FileNotFoundError, or ValueError for another version."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: this generator was not measured; run `snakemake generators` "
            "or take it out of generators.compared"
        )
    found = json.loads(path.read_text())
    if found.get("version") != VERSION:
        raise ValueError(
            f"{path} is of version {found.get('version')}, this code reads {VERSION}; delete it"
        )
    return found


def table(measured: dict[str, dict]) -> pd.DataFrame:
    """One row a measure and generator, those of a measure below each other; columns COLUMNS.

    measured: {generator: content of its measures.json}. Values are as there, proportions 0..1; what
    does not exist (an interval of one clip, a reference, sync without an expert) is empty. p_holm
    is p corrected for all of the table, verdict of evaluation.statistics.verdict.
    """
    rows = []
    for generator, found in measured.items():
        for one in found["measures"]:
            known = one["reference"] or {}
            rows.append(
                {"measure": one["key"], "generator": generator, "p": one.get("p")}
                | {"p_holm": None, "trainings": one.get("trainings"), "verdict": ""}
                | {key: one[key] for key in ("name", "unit", "better", "value", "low", "high", "n")}
                | {"reference": known.get("name", "")}
                | {f"reference_{key}": known.get(key) for key in ("value", "low", "high", "n")}
            )
    order = list(dict.fromkeys(row["measure"] for row in rows))
    rows.sort(key=lambda row: order.index(row["measure"]))
    tested = [row for row in rows if row["p"] is not None]
    for row, adjusted in zip(tested, holm([row["p"] for row in tested]), strict=True):
        row |= {"p_holm": adjusted, "verdict": verdict(row["value"], adjusted, row["trainings"])}
    return pd.DataFrame(rows, columns=COLUMNS)


def measured_value(value, low, high, n) -> str:
    """A value with interval and n as text, in three significant digits, or 'not measured'."""
    if pd.isna(value):
        return f"not measured, n = {int(n)}"
    text = f"{value:.3g}" if pd.isna(low) else with_interval(value, low, high, ".3g")
    return f"{text}, n = {int(n)}"


def clips_made(generator: str, found: dict) -> str:
    """How many clips a generator made of those drawn, and why not the others."""
    reasons = "; ".join(f"{n} x {reason}" for reason, n in found["rejected"].items())
    rejected = f"rejected: {reasons}" if reasons else "none rejected"
    return f"{generator}: {found['made']} of {found['drawn']} clips made, {rejected}"


def over(found: dict) -> str:
    """What the intervals of measures are over; files that do not say it have them over clips."""
    clusters = found.get("clustered_by")
    return f"over clusters by {clusters}" if clusters else "over clips"


def expert_accuracy(found: dict) -> str:
    """How accurate the expert of lip synchrony is; '' without one."""
    if not (expert := found.get("sync_expert")):
        return ""
    own, others = (_proportion(expert[key], expert["n"]) for key in ("found", "found_in_others"))
    return (
        "The expert of lip synchrony, given held-out clips whose sound was moved by up to three "
        f"frames, says by how many within one frame in {own}; with another clip's sound, which is "
        f"chance, in {others}. Where the two are close, its offsets and confidences say nothing."
    )


def _proportion(count: int, n: int) -> str:
    low, high = wilson_interval(count, n)
    return f"{with_interval(count / n, low, high, '.1%')} of {n} clips"


def to_markdown(rows: pd.DataFrame, measured: dict[str, dict], scale: str) -> str:
    """The table for people, with what it was measured on."""
    return render(
        "generators", rows=rows.to_dict("records"), measured=measured, scale=scale, **wording()
    )


def wording() -> dict:
    """What a template needs to say a table of generators in words."""
    functions = (measured_value, clips_made, expert_accuracy, over)
    return {function.__name__: function for function in functions} | {"missing": pd.isna}
