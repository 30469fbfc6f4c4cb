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
    named_clips,
    pooled_seed_variance,
    scores,
)
from visemix.evaluation.statistics import (
    bootstrap_interval,
    clustered_by,
    holm,
    speakers_of,
    verdict,
    wilson_interval,
)
from visemix.papers.cells import (
    TEST_SETS,
    Cell,
    compared_cells,
    compared_runs,
    evaluation_folder,
    resolve_run,
    shuffled_control,
    table_cells,
    table_runs,
    table_test_set,
)
from visemix.papers.reproduction import departures, in_short, measured_departures

COLUMNS = [
    "cell_id", "row", "other_reading_of", "published", "source", "status", "departures",
    "accuracy", "low", "high", "n", "rejected", "clusters", "clustered_by", "cluster_low",
    "cluster_high", "seeds", "sd", "over_seeds_low", "over_seeds_high", "above",
    "difference", "difference_low", "difference_high", "p", "p_holm", "verdict", "p_mcnemar",
    "detectable", "detectable_over_seeds", "run", "changed",
    "published_word_boundary", "published_selection", "published_extra_data",
    "published_parameters", "word_boundary", "selection", "extra_data", "parameters",
    "equal", "updates", "epochs",
]  # fmt: skip


def build_table(paper: str, table: str, parameters: dict) -> pd.DataFrame:
    """One row a cell of a published table, columns COLUMNS.

    published, accuracy, low, high, sd and difference are in per cent; low and high bound the 95%
    Wilson interval over the n test clips (of the mean over seeds: seeds share the clips, so they
    do not narrow it), cluster_low and cluster_high the 95% interval of a bootstrap over speakers
    (`clusters` of them), each clip whose speaker is not known by itself: see clustered_by;
    over_seeds_low and over_seeds_high, '' with one seed, allow for other trainings, too
    (evaluation.crossed.crossed_mean; not below 0 or above 100). `above` is the row that this one
    is compared with (see papers.cells.compared_cells), `difference` this row minus that one with
    its 95% interval difference_low..difference_high, p_mcnemar the exact McNemar test of the first
    seeds of the two on the same clips, p the test that with several seeds also allows for other
    trainings, p_holm that corrected for all comparisons of the table (papers.cells.compared_runs),
    verdict what follows from it (evaluation.statistics.verdict); detectable and
    detectable_over_seeds are the smallest true differences that this test set would show with 80%
    power, between two given trainings and between rows (all of
    evaluation.resolution.compare_rows but p_holm and verdict; in points). status is 'literature',
    'not yet run' or the name of the scale the value was measured at. A measured value is a
    reproduction only where `departures`, in what it departs from the paper's own setting
    (papers.reproduction), is ''. other_reading_of is the cell that a row of ours reads otherwise,
    '' for the paper's own rows. equal says by what trainings on mixtures are compared with those on
    the real clips alone ('updates' | 'epochs'; 'both' on those clips), updates and epochs how long
    a row trained, the latter over its own mixture. Columns published_* repeat what the source of
    the published value states ('' = not stated).
    `parameters`: all, resolved.
    """
    rows = []
    above = {later.id: earlier for earlier, later in compared_cells(paper, table)}
    predictions = table_predictions(paper, table, parameters)
    seeds = pooled_seed_variance(list(predictions.values()))
    comparisons = table_comparisons(paper, table, predictions)
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
            row |= _measured(paper, cell, predictions[cell.run], parameters)
            row |= _intervals(predictions[cell.run], seeds)
            if cell.id in above:
                found = comparisons[above[cell.id].run, cell.run]
                row |= {"above": above[cell.id].id} | _difference(found)
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


def table_comparisons(
    paper: str, table: str, predictions: dict[str, list[pd.DataFrame]]
) -> dict[tuple[str, str], dict]:
    """{(earlier run, later run): what their difference says} for papers.cells.compared_runs.

    predictions: of `table_predictions`. Values are of `compared`.
    """
    pairs = {pair: [predictions[run] for run in pair] for pair in compared_runs(paper, table)}
    return compared(pairs, pooled_seed_variance(list(predictions.values())))


def compared(pairs: dict, seeds: tuple[float, int]) -> dict:
    """Compare pairs of rows that stand in one table; each row is its prediction tables, one a seed.

    seeds: of `pooled_seed_variance`. Returns for each key what evaluation.resolution.compare_rows
    says, with p_holm, corrected for all pairs, and verdict (evaluation.statistics.verdict).
    """
    found = {key: compare_rows(*pair, seeds) for key, pair in pairs.items()}
    adjusted = holm([result["p"] for result in found.values()])
    return {
        key: result | {"p_holm": p, "verdict": verdict(result["difference"], p, len(pairs[key][0]))}
        for (key, result), p in zip(found.items(), adjusted, strict=True)
    }


def _difference(result: dict) -> dict:
    return {
        "difference": 100 * result["difference"],
        "difference_low": 100 * result["low"],
        "difference_high": 100 * result["high"],
        "p": result["p"],
        "p_holm": result["p_holm"],
        "verdict": result["verdict"],
        "p_mcnemar": result["p_mcnemar"],
        "detectable": 100 * result["detectable"],
        "detectable_over_seeds": 100 * result["detectable_over_seeds"],
    }


def _intervals(predictions: list[pd.DataFrame], seeds: tuple[float, int]) -> dict:
    """Intervals of a row's accuracy (%) for other speakers, and for other trainings as well."""
    clusters, right = speakers_of(named_clips(predictions)), scores(predictions)
    low, high = bootstrap_interval(right.mean(0), clusters)
    found = {
        "clusters": len(set(clusters)),
        "clustered_by": clustered_by(clusters),
        "cluster_low": 100 * low,
        "cluster_high": 100 * high,
    }
    if len(predictions) > 1:
        low, high = crossed_mean(right, clusters, seeds).interval
        found |= {"over_seeds_low": 100 * max(low, 0), "over_seeds_high": 100 * min(high, 1)}
    return found


def _measured(paper: str, cell: Cell, predictions: list[pd.DataFrame], parameters: dict) -> dict:
    seed = parameters["seeds"][0]
    record = json.loads(Path(f"runs/{cell.run}/seed-{seed}/training.json").read_text())
    synthetic = [s for s in record["mixture"]["sources"] if s["role"] == "synthetic"]
    equal = record["training"].get("equal", "updates")  # not in version 1, which knew no other
    generator = parameters["synthesis"]["generator"]
    summary = summarise(predictions)
    clips = {"real": 0} | {s["role"]: s["clips"] for s in record["mixture"]["sources"]}
    departs = departures(paper, parameters, cell.run) + measured_departures(
        paper, cell.test_set, summary["n"], predictions[0].label.nunique(), clips
    )
    return summary | {
        "status": parameters["scale"],
        "departures": in_short(departs),
        "changed": ", ".join(resolve_run(cell.run, parameters)["changed"]),
        "word_boundary": "no",
        "selection": "val",
        "extra_data": ", ".join(f"{s['clips']} {generator} clips" for s in synthetic) or "none",
        "parameters": f"{record.get('parameters_at_test', record['parameters']) / 1e6:.3g} M",
        "equal": equal if synthetic else "both",
        "updates": record["training"]["steps"],
        "epochs": record["epochs"],
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
    test at 5% (over_speakers: a t-test over speakers, several clips each) finds with 80% power
    between two given trainings; seed_sd, the standard deviation
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
    smallest = minimum_detectable_difference(n, discordant)
    over_speakers = found[0]["clusters"] < n
    if over_speakers:
        smallest = float(np.mean([pair["detectable"] for pair in found]))
    steps = [abs(later.published - earlier.published) for earlier, later in cells]
    return {
        "n": n,
        "discordant": discordant,
        "published_steps": (min(steps), max(steps)),
        "smallest": 100 * smallest,
        "over_speakers": over_speakers,
        "seed_sd": 100 * math.sqrt(variance),
        "smallest_over_seeds": 100 * np.mean([pair["detectable_over_seeds"] for pair in found]),
    }


def measured(frame: pd.DataFrame) -> dict:
    """What was measured, for `dvc metrics`: {row key: {accuracy, low, high, n}}, in per cent."""
    rows = frame[frame.n != ""].set_index("cell_id")[["accuracy", "low", "high", "n"]]
    return {cell.split("/")[-1]: row for cell, row in rows.to_dict("index").items()}
