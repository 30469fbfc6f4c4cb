"""A table of a paper: published and measured values side by side, and how sure each one is."""

import math

import numpy as np
import pandas as pd

from visemix.evaluation.crossed import crossed_mean
from visemix.evaluation.resolution import (
    minimum_detectable_difference,
    named_clips,
    pooled_seed_variance,
    scores,
)
from visemix.evaluation.statistics import bootstrap_interval, clustered_by, speakers_of
from visemix.papers.cells import (
    TEST_SETS,
    Cell,
    compared_cells,
    read_table,
    resolve_run,
    shuffled_control,
    table_cells,
    table_test_set,
)
from visemix.papers.reproduction import departures, in_short, measured_departures
from visemix.run.atomic import atomic_path, write_json, write_text
from visemix.tables.results import Results, in_points, summarise
from visemix.tables.text import render

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


def build_table(paper: str, table: str, results: Results) -> pd.DataFrame:
    """One row a cell of a published table, columns COLUMNS.

    published, accuracy, low, high, sd and difference are in per cent; low and high are of
    `summarise`, cluster_low and cluster_high the 95% interval of a bootstrap over speakers
    (`clusters` of them), each clip whose speaker is not known by itself: see clustered_by;
    over_seeds_low and over_seeds_high, '' with one seed, allow for other trainings, too
    (evaluation.crossed.crossed_mean; not below 0 or above 100). `above` is the row that this one
    is compared with (see papers.cells.compared_cells), `difference` this row minus that one with
    its 95% interval difference_low..difference_high, p_mcnemar the exact McNemar test of the first
    seeds of the two on the same clips, p the test that with several seeds also allows for other
    trainings, p_holm that corrected for all comparisons of the table (papers.cells.compared_runs),
    verdict what follows from it (evaluation.statistics.verdict); detectable and
    detectable_over_seeds are the smallest true differences that this test set would show with 80%
    power, between two given trainings and between rows (evaluation.resolution.compare_rows; in
    points). status is 'literature', 'not yet run' or the name of the scale the value was measured
    at. A measured value is a reproduction only where `departures`, in what it departs from the
    paper's own setting (papers.reproduction), is ''. other_reading_of is the cell that a row of
    ours reads otherwise, '' for the paper's own rows. equal says by what trainings on mixtures are
    compared with those on the real clips alone ('updates' | 'epochs'; 'both' on those clips),
    updates and epochs how long a row trained, the latter over its own mixture. Columns published_*
    repeat what the source of the published value states ('' = not stated).
    """
    rows = []
    above = {later.id: earlier for earlier, later in compared_cells(paper, table)}
    predictions = results.of_table(paper, table)
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
        row |= {
            f"published_{key}": {None: "", True: "yes", False: "no"}.get(value, value)
            for key, value in cell.protocol.items()
        }
        if cell.quoted_from:
            row["status"] = "literature"
        elif cell.run is None or cell.test_set not in TEST_SETS:
            row["status"] = "not yet run"
        else:
            row |= _measured(paper, cell, results)
            row |= _intervals(predictions[cell.own_run], seeds)
            if cell.id in above:
                row |= _difference(results, paper, table, above[cell.id], cell)
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _difference(results: Results, paper: str, table: str, above: Cell, cell: Cell) -> dict:
    result = results.comparisons(paper, table)[above.own_run, cell.own_run]
    return {
        "above": above.id,
        **{name: result[name] for name in ("p", "p_holm", "verdict", "p_mcnemar")},
        **in_points(result, "difference", "detectable", "detectable_over_seeds"),
        "difference_low": 100 * result["low"],
        "difference_high": 100 * result["high"],
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


def _measured(paper: str, cell: Cell, results: Results) -> dict:
    parameters, record = results.parameters, results.training(cell.own_run)
    predictions = results.predictions(cell.own_run, cell.test_set)
    synthetic = [s for s in record["mixture"]["sources"] if s["role"] == "synthetic"]
    equal = record["training"].get("equal", "updates")  # not in version 1, which knew no other
    generator = parameters["synthesis"]["generator"]
    summary = summarise(predictions)
    clips = {"real": 0} | {s["role"]: s["clips"] for s in record["mixture"]["sources"]}
    departs = departures(paper, parameters, cell.own_run) + measured_departures(
        paper, cell.test_set, summary["n"], predictions[0].label.nunique(), clips
    )
    return summary | {
        "status": parameters["scale"],
        "departures": in_short(departs),
        "changed": ", ".join(resolve_run(cell.own_run, parameters)["changed"]),
        "word_boundary": "no",
        "selection": "val",
        "extra_data": ", ".join(f"{s['clips']} {generator} clips" for s in synthetic) or "none",
        "parameters": f"{record.get('parameters_at_test', record['parameters']) / 1e6:.3g} M",
        "equal": equal if synthetic else "both",
        "updates": record["training"]["steps"],
        "epochs": record["epochs"],
    }


def controls(paper: str, table: str, results: Results) -> list[dict]:
    """What guards against fooling ourselves: entries {name, accuracy, low, high, n} in per cent.

    Where the table asks for it, one run on the same clips with their frames shuffled in time (what
    is left is read from single frames); last, chance (1 / words), which has no interval. [] for a
    table without reproduced rows.
    """
    predictions = results.of_table(paper, table)
    if not predictions:
        return []
    clips = next(iter(predictions.values()))[0]
    words = clips.label.nunique()
    chance = {"name": f"chance (1 of {words} words)", "accuracy": 100 / words, "n": len(clips)}
    run = shuffled_control(paper, table)
    if run is None:
        return [chance]
    shuffled = results.predictions(run, f"{table_test_set(paper, table)}-shuffled")
    return [{"name": f"frames shuffled in time ({run})"} | summarise(shuffled), chance]


def resolution(paper: str, table: str, results: Results) -> dict | None:
    """What differences the test set can show, from the observed disagreement of compared rows.

    Returns n, discordant (the mean proportion of clips on which compared rows disagree in being
    right), published_steps (the least and the largest published difference of compared rows,
    percentage points) and smallest, the smallest true difference (percentage points) that an exact
    McNemar test at 5% (over_speakers: a t-test over speakers, several clips each) finds with 80%
    power between two given trainings; seed_sd, the standard deviation (percentage points) of
    trainings that differ in their seed alone, and smallest_over_seeds, the smallest difference
    between rows found with that power when trainings vary too (both nan with one seed). None for a
    table with fewer than two reproduced rows.
    """
    cells = compared_cells(paper, table)
    if not cells:
        return None
    variance, _ = pooled_seed_variance(list(results.of_table(paper, table).values()))
    comparisons = results.comparisons(paper, table)
    found = [comparisons[earlier.own_run, later.own_run] for earlier, later in cells]
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


def metrics(frame: pd.DataFrame) -> dict:
    """What was measured, for `dvc metrics`: {row key: {accuracy, low, high, n}}, in per cent."""
    rows = frame[frame.n != ""].set_index("cell_id")[["accuracy", "low", "high", "n"]]
    return {cell.split("/")[-1]: row for cell, row in rows.to_dict("index").items()}


def write_table(
    paper: str, table: str, results: Results, csv: str, markdown: str, measured: str
) -> tuple[pd.DataFrame, list[dict]]:
    """Write a table as CSV and as Markdown, and its `metrics` as JSON; returns rows and controls.

    Its figure is left to others, so that an audit, which computes the table again, draws none.
    """
    rows, notes = build_table(paper, table, results), controls(paper, table, results)
    with atomic_path(csv) as temporary:
        rows.to_csv(temporary, index=False)
    write_text(markdown, to_markdown(rows, read_table(paper, table)["caption"], notes))
    write_json(measured, metrics(rows))
    return rows, notes


def to_markdown(frame: pd.DataFrame, caption: str, notes: list[dict]) -> str:
    """Markdown of a table for people; notes: of `controls`."""
    compared = frame[frame.above != ""]
    return render(
        "table",
        caption=caption,
        rows=frame.to_dict("records"),
        measured=frame[frame.n != ""].to_dict("records"),
        compared=compared.to_dict("records"),
        notes=notes,
        kind=kind,
        departing=departing_rows(frame),
        trained=trainings_note(frame),
        given=_range(compared.detectable),
        over_seeds=_range(compared.detectable_over_seeds),
    )


def kind(departures: str) -> str:
    """Whether a measured value is a reproduction, by its column departures."""
    return "no reproduction" if departures else "a reproduction"


def departing_rows(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """(departures, runs) of the measured rows that are no reproductions, without repeats."""
    rows = frame[(frame.n.astype(str) != "") & (frame.departures != "")]
    runs = rows.groupby("departures", sort=False).run.unique()
    return [(text, ", ".join(names)) for text, names in runs.items()]


def trainings_note(frame: pd.DataFrame) -> str:
    """How long the rows of a table trained: equal updates or epochs, and the epochs of each row.

    frame: columns COLUMNS, values as numbers or as text; "" where nothing is measured.
    """
    rows = frame[frame.n.astype(str) != ""]
    if rows.empty:
        return ""
    chosen = set(rows.equal) - {"both"} or {"updates"}
    how = " and ".join(f"equal {name}" for name in sorted(chosen))
    seen = rows.assign(epochs=[f"{float(n):.1f}" for n in rows.epochs])
    each = ", ".join(f"{row.run} {row.epochs}" for row in seen.drop_duplicates("run").itertuples())
    return f"Trained with {how}; epochs of its own mixture that each run saw: {each}"


def _range(points: pd.Series) -> str:
    points = points.astype(float)
    return "none" if points.isna().all() else f"{points.min():.1f} to {points.max():.1f} points"
