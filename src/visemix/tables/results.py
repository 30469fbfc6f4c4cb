"""Tables with the published and the reproduced value side by side, and how sure each one is."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.evaluation.crossed import crossed_mean
from visemix.evaluation.resolution import (
    compare_rows,
    minimum_detectable_difference,
    pooled_seed_variance,
    scores,
)
from visemix.evaluation.statistics import (
    bootstrap_interval,
    holm,
    speakers_of,
    wilson_interval,
)
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
    "high", "n", "rejected", "clusters", "clustered_by", "cluster_low", "cluster_high", "seeds",
    "sd", "over_seeds_low", "over_seeds_high", "above", "difference", "difference_low",
    "difference_high", "p", "p_holm", "p_mcnemar", "detectable", "detectable_over_seeds", "run",
    "changed",
    "published_word_boundary", "published_selection", "published_extra_data",
    "published_parameters", "word_boundary", "selection", "extra_data", "parameters",
]  # fmt: skip


def build_table(paper: str, table: str, parameters: dict) -> pd.DataFrame:
    """One row a cell of a published table, columns COLUMNS.

    published, accuracy, low, high, sd and difference are in per cent; low and high bound the 95%
    Wilson interval over the n test clips (of the mean over seeds: seeds share the clips, so they
    do not narrow it), cluster_low and cluster_high the 95% interval of a bootstrap over speakers
    (`clusters` of them), or over clips where clustered_by says that speakers are not known;
    over_seeds_low and over_seeds_high, '' with one seed, allow for other trainings, too
    (evaluation.crossed.crossed_mean; not below 0 or above 100). `above` is the row that this one
    is compared with (see papers.cells.compared_cells), `difference` this row minus that one with
    its 95% interval difference_low..difference_high, p_mcnemar the exact McNemar test of the first
    seeds of the two on the same clips, p the test that with several seeds also allows for other
    trainings, p_holm that corrected for all comparisons of the table; detectable and
    detectable_over_seeds are the smallest true differences that this test set would show with 80%
    power, between two given trainings and between rows (all but p_holm of
    evaluation.resolution.compare_rows; in points). status is 'literature',
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
        if cell.quoted_from:
            row["status"] = "literature"
        elif cell.run is None or cell.test_set not in TEST_SETS:
            row["status"] = "not yet run"
        else:
            row |= _reproduced(cell, predictions[cell.run], parameters)
            row |= _intervals(predictions[cell.run], seeds)
            if cell.id in above:
                rows_compared = predictions[above[cell.id].run], predictions[cell.run]
                row |= {"above": above[cell.id].id} | _difference(*rows_compared, seeds)
        rows.append(row)
    compared = [row for row in rows if row["above"]]
    for row, adjusted in zip(compared, holm([row["p"] for row in compared]), strict=True):
        row["p_holm"] = adjusted
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
    return {
        "difference": 100 * result["difference"],
        "difference_low": 100 * result["low"],
        "difference_high": 100 * result["high"],
        "p": result["p"],
        "p_mcnemar": result["p_mcnemar"],
        "detectable": 100 * result["detectable"],
        "detectable_over_seeds": 100 * result["detectable_over_seeds"],
    }


def _intervals(predictions: list[pd.DataFrame], seeds: tuple[float, int]) -> dict:
    """Intervals of a row's accuracy (%) for other speakers, and for other trainings as well."""
    table = predictions[0].sort_values("clip_id")
    clusters, right = speakers_of(table), scores(predictions)
    low, high = bootstrap_interval(right.mean(0), clusters)
    by_clip = (clusters == table.clip_id.to_numpy()).all()
    found = {
        "clusters": len(set(clusters)),
        "clustered_by": "clip (speakers not known)" if by_clip else "speaker",
        "cluster_low": 100 * low,
        "cluster_high": 100 * high,
    }
    if len(predictions) > 1:
        low, high = crossed_mean(right, clusters, seeds).interval
        found |= {"over_seeds_low": 100 * max(low, 0), "over_seeds_high": 100 * min(high, 1)}
    return found


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
    found = [
        compare_rows(predictions[earlier.run], predictions[later.run], (variance, freedom))
        for earlier, later in cells
    ]
    n = found[0]["n"]
    discordant = np.mean([pair["only_first"] + pair["only_second"] for pair in found]) / n
    steps = [abs(later.published - earlier.published) for earlier, later in cells]
    return {
        "n": n,
        "discordant": discordant,
        "published_steps": (min(steps), max(steps)),
        "smallest": 100 * minimum_detectable_difference(n, discordant),
        "seed_sd": 100 * math.sqrt(variance),
        "smallest_over_seeds": 100 * np.mean([pair["detectable_over_seeds"] for pair in found]),
    }


def measured(frame: pd.DataFrame) -> dict:
    """What was measured, for `dvc metrics`: {row key: {accuracy, low, high, n}}, in per cent."""
    rows = frame[frame.n != ""].set_index("cell_id")[["accuracy", "low", "high", "n"]]
    return {cell.split("/")[-1]: row for cell, row in rows.to_dict("index").items()}
