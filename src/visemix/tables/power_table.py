"""How many test clips and seeds would show a paper's differences, from what was observed here."""

import math

import numpy as np
import pandas as pd

from visemix.evaluation import power
from visemix.evaluation.crossed import design_effect, variance_components
from visemix.evaluation.resolution import compare_rows, named_clips, pooled_seed_variance, scores
from visemix.evaluation.statistics import speakers_of
from visemix.papers.cells import Cell, compared_cells, table_names
from visemix.papers.claims import read_claims
from visemix.tables.results import Results, in_points
from visemix.tables.text import render

COLUMNS = [
    "table", "row", "above", "n", "seeds", "discordant", "training_sd", "detectable",
    "detectable_over_seeds", "asked", "difference", "clips_given_trainings", "seeds_at_n",
    "paper_clips", "seeds_at_paper_clips", "least_seeds", "clips_at_twice_least_seeds", "words",
]  # fmt: skip
ALWAYS_ASKED = 0.2  # points


def power_table(paper: str, results: Results) -> pd.DataFrame:
    """For each comparison of a paper's tables, what it takes to show 0.2 points, and what it takes
    to show the published difference: a row each.

    Columns COLUMNS. Observed: n test clips, seeds a row, discordant (% of clips on which exactly
    one of two trainings is right, mean over seeds), training_sd (points; of trainings read on
    infinitely many clips), detectable and detectable_over_seeds as in tables.results. Asked:
    difference (points). With 80% power it takes: clips_given_trainings for the two trainings alone;
    seeds_at_n seeds a row on the present clips, seeds_at_paper_clips on as many as the paper's test
    set has; least_seeds however many clips, and clips_at_twice_least_seeds. 'none' where no number
    is enough (of seeds up to power.MOST_SEEDS), '' where one seed a row tells nothing about
    trainings.
    """
    _, test_sets = read_claims()
    rows = []
    for table in table_names(paper):
        pairs = compared_cells(paper, table)
        predictions = results.of_table(paper, table)
        seeds = pooled_seed_variance(list(predictions.values()))
        for above, cell in pairs:
            both = predictions[above.own_run], predictions[cell.own_run]
            observed, components = _observed(*both, seeds)
            observed |= {"table": table, "row": cell.id, "above": above.id}
            design = power.Design(components, len(predictions))
            paper_clips = test_sets[cell.test_set]["n"]
            for asked, difference in _asked(above, cell):
                row = observed | {"asked": asked, "difference": difference}
                row |= {"paper_clips": paper_clips} | _needed(row, paper_clips, design)
                rows.append(row | {"words": in_words(row)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _asked(above: Cell, cell: Cell) -> list[tuple[str, float]]:
    """Differences that are asked for, in points, without repeats and zeros."""
    gain = round(abs(cell.published - above.published), 6)
    asked = {ALWAYS_ASKED: "a small gain", gain: "the published difference"}
    return [(name, difference) for difference, name in asked.items() if difference > 0]


def _observed(first: list[pd.DataFrame], second: list[pd.DataFrame], seeds) -> tuple:
    """What was observed of two rows, by the names of COLUMNS, and its components of variance."""
    result = compare_rows(first, second, seeds)
    clusters = speakers_of(named_clips([*first, *second]))
    right = scores(first), scores(second)
    components = variance_components(*right, clusters, seeds)
    return {
        "n": result["n"],
        "seeds": len(first),
        "design_effect": design_effect(right[1][0] - right[0][0], clusters),
        "discordant": 100 * float(np.mean(right[0] != right[1])),
        "training_sd": 100 * math.sqrt(components.trainings),  # nan with one seed
        **in_points(result, "detectable", "detectable_over_seeds"),
    }, components


def _needed(row: dict, paper_clips: int, design: power.Design) -> dict:
    """Clips and seeds that show the difference of a row, by the names of COLUMNS."""
    gain = row["difference"] / 100
    given = power.clips_needed_given_trainings(row["discordant"] / 100, gain)
    given = math.ceil(row["design_effect"] * given)  # clips of few speakers say less
    if row["seeds"] == 1:
        names = ("seeds_at_n", "seeds_at_paper_clips", "least_seeds", "clips_at_twice_least_seeds")
        return {"clips_given_trainings": given} | dict.fromkeys(names, "")
    least = power.seeds_needed(design, gain, math.inf)
    needed = {
        "clips_given_trainings": given,
        "seeds_at_n": power.seeds_needed(design, gain, row["n"]),
        "seeds_at_paper_clips": power.seeds_needed(design, gain, paper_clips),
        "least_seeds": least,
        "clips_at_twice_least_seeds": least and power.clips_needed(design, gain, 2 * least),
    }
    return {name: "none" if value is None else value for name, value in needed.items()}


def in_words(row: dict) -> str:
    """A row of `power_table` as a sentence or two."""
    asked = f"{row['difference']:.1f} points ({row['asked']})"
    given = f"{row['clips_given_trainings']:,} clips between two given trainings"
    if row["seeds"] == 1:
        return f"{asked} take {given}; what seeds do is not known from one seed a row."
    now = (
        f"{row['n']} clips and {row['seeds']} seeds a row show a difference of "
        f"{row['detectable_over_seeds']:.1f} points."
    )
    if row["least_seeds"] == "none":
        return f"{now} {asked} take {given}; between rows more than {power.MOST_SEEDS:,} seeds."
    twice = 2 * row["least_seeds"]
    return (
        f"{now} {asked} take {given}; between rows, whatever their seeds, at least "
        f"{row['least_seeds']:,} seeds a row, or {twice:,} with "
        f"{_clips(row['clips_at_twice_least_seeds'])}. On the present {row['n']} clips "
        f"{_seeds(row['seeds_at_n'])}, on the paper's {row['paper_clips']:,} "
        f"{_seeds(row['seeds_at_paper_clips'])}."
    )


def _seeds(count: int | str) -> str:
    return (
        f"not even {power.MOST_SEEDS:,} seeds are enough"
        if count == "none"
        else f"it takes {count:,} seeds"
    )


def _clips(count: int | str) -> str:
    return f"more than {power.MOST_CLIPS:,} clips" if count == "none" else f"{count:,} clips"


def power_markdown(paper: str, table: pd.DataFrame, scale: str) -> str:
    """The table for people: a sentence a row."""
    return render("power", paper=paper, rows=table.to_dict("records"), scale=scale)
