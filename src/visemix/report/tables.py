"""Tables with the published and the reproduced value side by side, and how sure each one is."""

import json
import math
from pathlib import Path

import pandas as pd
from scipy.stats import t

from visemix.evaluation.resolution import (
    compare_rows,
    minimum_detectable_difference,
    pooled_seed_variance,
)
from visemix.evaluation.statistics import paired_comparison, wilson_interval
from visemix.papers.cells import (
    TEST_SETS,
    Cell,
    compared_cells,
    evaluation_folder,
    resolve_run,
    shuffled_control,
    table_cells,
    table_runs,
    table_test_set,
)

COLUMNS = [
    "cell_id", "row", "other_reading_of", "published", "source", "status", "accuracy", "low",
    "high", "n", "rejected", "seeds", "sd", "above", "difference", "p", "p_mcnemar", "run",
    "changed",
    "published_word_boundary", "published_selection", "published_extra_data",
    "published_parameters", "word_boundary", "selection", "extra_data", "parameters",
]  # fmt: skip


def build_table(paper: str, table: str, parameters: dict) -> pd.DataFrame:
    """One row a cell of a published table, columns COLUMNS.

    published, accuracy, low, high, sd and difference are in per cent; low and high bound the 95%
    Wilson interval over the n test clips (of the mean over seeds: seeds share the clips, so they
    do not narrow it); `above` is the row that this one is compared with (see
    papers.cells.compared_cells), `difference` this row minus that one, p_mcnemar the exact McNemar
    test of the first seeds of the two on the same clips, p the test that with several seeds also
    allows for other trainings (see evaluation.resolution.compare_rows). status is 'literature',
    'not yet run' or the scale the value was measured at, which is never a reproduction unless the
    scale is 'paper'. other_reading_of is the cell that a row of ours reads otherwise, '' for the
    paper's own rows. Columns published_* repeat what the source of the published value states
    ('' = not stated).
    `parameters` needs corpus.name, scale, seeds, runs and synthesis.generator.
    """
    rows = []
    above = {later.id: earlier for earlier, later in compared_cells(paper, table)}
    predictions = table_predictions(paper, table, parameters)
    seeds = pooled_seed_variance(list(predictions.values()))
    for cell in table_cells(paper, table):
        row = dict.fromkeys(COLUMNS, "") | {
            "cell_id": cell.id,
            "row": cell.row,
            "other_reading_of": cell.other_reading_of or "",
            "published": cell.published,
            "source": cell.quoted_from or "this paper",
            "run": cell.run or "",
        }
        row |= {f"published_{key}": _text(value) for key, value in cell.protocol.items()}
        if cell.run is None:
            row["status"] = "literature"
        elif cell.test_set not in TEST_SETS:
            row["status"] = "not yet run"
        else:
            row |= _reproduced(cell, predictions[cell.run], parameters)
            if cell.id in above:
                rows_compared = predictions[above[cell.id].run], predictions[cell.run]
                row |= {"above": above[cell.id].id} | _difference(*rows_compared, seeds)
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _text(value) -> str:
    return {None: "", True: "yes", False: "no"}.get(value, value)


def read_predictions(run: str, test_set: str, parameters: dict) -> list[pd.DataFrame]:
    """Per-clip predictions of a run on a test set, one frame a seed."""
    corpus = parameters["corpus"]["name"]
    return [
        pd.read_parquet(evaluation_folder(run, seed, corpus, test_set) / "predictions.parquet")
        for seed in parameters["seeds"]
    ]


def table_predictions(paper: str, table: str, parameters: dict) -> dict[str, list[pd.DataFrame]]:
    """Per-clip predictions of the reproduced rows of a table, {run: one frame a seed}."""
    test_set = table_test_set(paper, table)
    runs = table_runs(paper, table)
    return {run: read_predictions(run, test_set, parameters) for run in runs}


def summarise(predictions: list[pd.DataFrame]) -> dict:
    """Accuracy (%), its interval, n, rejected clips, number of seeds and their sd (%).

    Rejected clips are in n, as errors, unless evaluation.rejected_are_errors is false.
    """
    n = len(predictions[0])
    accuracies = pd.Series([frame.correct.mean() for frame in predictions])
    low, high = wilson_interval(round(accuracies.mean() * n), n)
    return {
        "accuracy": 100 * accuracies.mean(),
        "low": 100 * low,
        "high": 100 * high,
        "n": n,
        "rejected": int(predictions[0].rejected.sum())
        + predictions[0].attrs.get("rejected_left_out", 0),
        "seeds": len(predictions),
        "sd": 100 * accuracies.std() if len(predictions) > 1 else "",
    }


def seed_variance(paper: str, table: str, parameters: dict) -> tuple[float, int]:
    """`pooled_seed_variance` over the reproduced rows of a table."""
    return pooled_seed_variance(list(table_predictions(paper, table, parameters).values()))


def _difference(earlier, later, seeds: tuple[float, int]) -> dict:
    result = compare_rows(earlier, later, seeds)
    return {"difference": 100 * result["difference"]} | {k: result[k] for k in ("p", "p_mcnemar")}


def _reproduced(cell: Cell, predictions: list[pd.DataFrame], parameters: dict) -> dict:
    seed = parameters["seeds"][0]
    record = json.loads(Path(f"runs/{cell.run}/seed-{seed}/training.json").read_text())
    synthetic = [s for s in record["mixture"]["sources"] if s["role"] == "synthetic"]
    generator = parameters["synthesis"]["generator"]
    return summarise(predictions) | {
        "status": parameters["scale"],
        "changed": ", ".join(resolve_run(cell.run, parameters)["changed"]),
        "word_boundary": "no",
        "selection": "val",
        "extra_data": ", ".join(f"{s['clips']} {generator} clips" for s in synthetic) or "none",
        "parameters": f"{record['parameters'] / 1e6:.3g} M",
    }


def controls(paper: str, table: str, parameters: dict) -> list[dict]:
    """What guards against fooling ourselves: entries {name, accuracy, low, high, n} in per cent.

    Where the table asks for it, one run on the same clips with their frames shuffled in time (what
    is left is read from single frames); last, chance (1 / words), which has no interval. [] for a
    table without reproduced rows.
    """
    predictions = table_predictions(paper, table, parameters)
    if not predictions:
        return []
    clips = next(iter(predictions.values()))[0]
    words = clips.label.nunique()
    chance = {"name": f"chance (1 of {words} words)", "accuracy": 100 / words, "n": len(clips)}
    run = shuffled_control(paper, table)
    if run is None:
        return [chance]
    shuffled = read_predictions(run, f"{table_test_set(paper, table)}-shuffled", parameters)
    return [{"name": f"frames shuffled in time ({run})"} | summarise(shuffled), chance]


def resolution(paper: str, table: str, parameters: dict) -> dict | None:
    """What differences the test set can show, from the observed disagreement of compared rows.

    Returns n, discordant (the mean share of clips on which compared rows disagree in being right),
    published_steps (the least and the largest published difference of compared rows, percentage
    points) and smallest, the smallest true difference (percentage points) that an exact McNemar
    test at 5% finds with 80% power between two given trainings; seed_sd, the standard deviation
    (percentage points) of trainings that differ in their seed alone, and smallest_over_seeds, the
    smallest difference between rows found with that power when trainings vary too (both nan with
    one seed). None for a table with fewer than two reproduced rows.
    """
    cells = compared_cells(paper, table)
    if not cells:
        return None
    predictions = table_predictions(paper, table, parameters)
    variance, freedom = pooled_seed_variance(list(predictions.values()))
    pairs = [
        paired_comparison(predictions[earlier.run][0], predictions[later.run][0])
        for earlier, later in cells
    ]
    n = pairs[0].n
    discordant = sum(pair.only_first + pair.only_second for pair in pairs) / (n * len(pairs))
    steps = [abs(later.published - earlier.published) for earlier, later in cells]
    return {
        "n": n,
        "discordant": discordant,
        "published_steps": (min(steps), max(steps)),
        "smallest": 100 * minimum_detectable_difference(n, discordant),
        "seed_sd": 100 * math.sqrt(variance),
        "smallest_over_seeds": 100
        * (t.ppf(0.975, freedom) + t.ppf(0.8, freedom))
        * math.sqrt(discordant / n + 2 * variance / len(parameters["seeds"])),
    }


def measured(frame: pd.DataFrame) -> dict:
    """What was measured, for `dvc metrics`: {row key: {accuracy, low, high, n}}, in per cent."""
    rows = frame[frame.n != ""].set_index("cell_id")[["accuracy", "low", "high", "n"]]
    return {cell.split("/")[-1]: row for cell, row in rows.to_dict("index").items()}


def to_markdown(frame: pd.DataFrame, caption: str, notes: list[dict]) -> str:
    """Markdown of a table for people: values with n, interval and p, controls below."""
    head = "| row | published | here [95% interval] | n | against the row above | status |"
    lines = [f"### {caption}", "", head, "|---|---|---|---|---|---|"]
    for row in frame.itertuples():
        here = f"{row.accuracy:.1f} [{row.low:.1f}, {row.high:.1f}]" if row.n else ""
        if row.n and row.seeds > 1:
            here += f", sd {row.sd:.1f} over {row.seeds} seeds"
        against = f"{row.difference:+.1f}, McNemar p = {row.p_mcnemar:.2g}" if row.above else ""
        if row.above and row.seeds > 1:
            against += f" (first seed), over seeds p = {row.p:.2g}"
        name = f"{row.row} (changed: {row.changed})" if row.changed else row.row
        if row.other_reading_of:
            name += f" (our other reading of {row.other_reading_of}, not a cell of the paper;"
            name += f" compared with {row.above})"
        lines.append(f"| {name} | {row.published} | {here} | {row.n} | {against} | {row.status} |")
    lines.append("")
    for note in notes:
        interval = f" [{note['low']:.1f}, {note['high']:.1f}]" if "low" in note else ""
        lines.append(f"* {note['name']}: {note['accuracy']:.1f}{interval}, n = {note['n']}")
    return "\n".join(lines) + "\n"
