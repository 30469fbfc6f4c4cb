"""Generators side by side: table, contact sheets and the facts of the report's page."""

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from visemix.clips.shards import open_crops, read_rejects
from visemix.evaluation.measure_generator import VERSION
from visemix.evaluation.statistics import holm, verdict, wilson_interval
from visemix.report import figures
from visemix.report.shown import GENERATORS as TABLE
from visemix.report.site import HOME, Site, add_picture, write_page

COLUMNS = [
    "measure", "name", "unit", "better", "generator", "value", "low", "high", "n", "p",
    "p_holm", "trainings", "verdict", "reference", "reference_value", "reference_low",
    "reference_high", "reference_n",
]  # fmt: skip
SHEET_CLIPS, EVERY, LABEL = 6, 2, 18  # clips on a sheet, n-th frames shown, px of a line of text
SHEET_WORDS = 6


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

    measured: {generator: content of its measures.json}. Values are as there, shares 0..1; what does
    not exist (an interval of one clip, a reference, sync without an expert) is empty. p_holm is p
    corrected for all of the table, verdict of evaluation.statistics.verdict.
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


def shown(value, low, high, n) -> str:
    """A value with interval and n as text, in three significant digits, or 'not measured'."""
    if pd.isna(value):
        return f"not measured, n = {int(n)}"
    interval = "" if pd.isna(low) else f" [{low:.3g}, {high:.3g}]"
    return f"{value:.3g}{interval}, n = {int(n)}"


def clips_told(generator: str, found: dict) -> str:
    """How many clips a generator made of those drawn, and why not the others."""
    reasons = "; ".join(f"{n} x {reason}" for reason, n in found["rejected"].items())
    return f"{generator}: {found['made']} of {found['drawn']} clips made" + (
        f", rejected: {reasons}" if reasons else ", none rejected"
    )


def over(found: dict) -> str:
    """What the intervals of measures are over; files that do not say it have them over clips."""
    return (
        f"over clusters by {found['clustered_by']}" if found.get("clustered_by") else "over clips"
    )


def expert_told(found: dict) -> str:
    """How well the expert of lip synchrony knows its trade; '' without one."""
    if not (expert := found.get("sync_expert")):
        return ""
    own, others = (_share_told(expert[key], expert["n"]) for key in ("found", "found_in_others"))
    return (
        "The expert of lip synchrony, given held-out clips whose sound was moved by up to three "
        f"frames, says by how many within one frame in {own}; with another clip's sound, which is "
        f"chance, in {others}. Where the two are close, its offsets and confidences say nothing."
    )


def _share_told(count: int, n: int) -> str:
    low, high = wilson_interval(count, n)
    return f"{count / n:.1%} [{low:.1%}, {high:.1%}] of {n} clips"


def to_markdown(rows: pd.DataFrame, measured: dict[str, dict], scale: str) -> str:
    """The table for people, with what it was measured on."""
    first = next(iter(measured.values()))
    lines = [
        f"### Generators, scale {scale}", "",
        f"Clips of the validation split ({first['split']}), each made again from its first frame "
        f"and its sound; {first['why']}. 95% intervals {over(first)}.", "",
        "| measure | better | generator | value [95% interval] | for comparison |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows.itertuples():
        known = ""
        if row.reference:
            values = (row.reference_value, row.reference_low, row.reference_high, row.reference_n)
            known = f"{row.reference}: {shown(*values)}"
        elif not pd.isna(row.p):
            known = f"p (Holm) = {row.p_holm:.2g}: {row.verdict}"
        name = f"{row.name} ({row.unit})" if row.unit else row.name
        value = shown(row.value, row.low, row.high, row.n)
        lines.append(f"| {name} | {row.better} | {row.generator} | {value} | {known} |")
    lines += ["", *(f"* {clips_told(*one)}" for one in measured.items())]
    lines += [f"* {told}"] if (told := expert_told(first)) else []
    return "\n".join(lines) + "\n"


def sheet(made: dict[str, str | Path], real: str | Path, clips: int = SHEET_CLIPS) -> bytes:
    """PNG: for the first drawn clip of each of some words the real crops and, below, generators'.

    made: {generator: its evaluation set}; real: the real crops. The same clips and frames for every
    generator, at the same place of the sheet; a rejected clip is an empty row with the reason.
    """
    with open_crops(real) as crops:
        sets = {name: open_crops(folder) for name, folder in made.items()}
        reasons = {
            name: read_rejects(folder).set_index("clip_id")["reason"].to_dict()
            for name, folder in made.items()
        }
        first = next(iter(sets))
        drawn = set(sets[first].index["clip_id"]) | set(reasons[first])
        chosen = crops.index[crops.index["clip_id"].isin(drawn)].groupby("label").head(1)
        rows = []
        for clip in chosen.sort_values("label").head(clips).itertuples():
            title = f"{clip.label}   {clip.clip_id}"
            true = crops.read([clip.Index])[0][::EVERY]
            rows.append(_row(true, f"{title}   real"))
            for name, crop_set in sets.items():
                at = np.flatnonzero(crop_set.index["clip_id"] == clip.clip_id)
                why = (
                    "" if len(at) else f": rejected, {reasons[name].get(clip.clip_id, 'not drawn')}"
                )
                shown_crops = crop_set.read(at)[0][::EVERY] if len(at) else np.zeros_like(true)
                rows.append(_row(shown_crops, f"{title}   {name}{why}"))
    for crop_set in sets.values():
        crop_set.close()
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, [(0, 0), (0, width - row.shape[1])]) for row in rows]
    return cv2.imencode(".png", np.vstack(rows))[1].tobytes()


def _row(crops: np.ndarray, text: str) -> np.ndarray:
    """Crops (T, 96, 96) side by side, (LABEL + 96, T * 96), with a line of text above."""
    row = np.pad(np.hstack(list(crops)), [(LABEL, 0), (0, 0)])
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(row, text, (4, LABEL - 5), font, 0.42, 230, 1, cv2.LINE_AA)
    return row


def training_sheet(parameters: dict) -> bytes:
    """PNG: real mouth crops, each above a synthetic clip that was driven by the same sound.

    The clips are those of the generator that the runs are trained with, of the first few words.
    """
    corpus, generator = parameters["corpus"]["name"], parameters["synthesis"]["generator"]
    real = open_crops(Path("data/crops") / f"{corpus}-train")
    synthetic = open_crops(Path("data/crops") / f"{corpus}-{generator}")
    records = pd.read_parquet(f"data/synthesis/{corpus}-{generator}/records.parquet")
    records = records[(records.status == "accepted") & records.source.isin(real.index.clip_id)]
    rows = []
    chosen = records.groupby("label").head(1).sort_values("label").head(SHEET_WORDS)
    for record in chosen.itertuples():
        for title, crops, clip_id in (
            ("real", real, record.source), ("synthetic", synthetic, record.clip_id),
        ):  # fmt: skip
            found = (crops.index.clip_id == clip_id).to_numpy().nonzero()[0]
            rows += [(f"{record.label} {title}", clip) for clip in crops.read(found)]
    return figures.contact_sheet(rows)


def page_facts(parameters: dict) -> dict:
    """For templates/generators.html: the clips of training, and the measures where there are any.

    Keys generator, training_sheet (PNG), measured ({generator: content of its measures.json}, {}
    where `snakemake generators` was not run on this corpus), and with it rows (of `table`) and
    sheet (PNG).
    """
    corpus = parameters["corpus"]["name"]
    compared = pd.read_csv(TABLE).generator.unique() if TABLE.is_file() else []
    files = {name: Path(f"generators/{corpus}-{name}/measures.json") for name in compared}
    measured = {name: read_measures(path) for name, path in files.items() if path.is_file()}
    facts = {
        "generator": parameters["synthesis"]["generator"],
        "training_sheet": training_sheet(parameters),
        "measured": measured,
    }
    if measured:
        made = {name: f"data/crops/{corpus}-{name}-evaluation" for name in measured}
        facts["rows"] = table(measured).to_dict("records")
        facts["sheet"] = sheet(made, f"data/crops/{corpus}-val")
    return facts


def write_page_of_generators(site: Site, facts: dict) -> None:
    """Write generators.html. facts: of `page_facts`."""
    facts = facts | {
        "shown": shown,
        "clips_told": clips_told,
        "expert_told": expert_told,
        "over": over,
    }
    for name in ("training_sheet", "sheet"):
        if name in facts:
            facts[name] = add_picture(site, f"generators-{name}", facts[name])
    if facts["measured"]:
        facts |= {"first": next(iter(facts["measured"].values())), "missing": pd.isna}
    write_page(site, "generators.html", "generators.html", "Generators", [HOME], **facts)
