"""AudioVSR's Fig. 2 for words: does it matter which synthetic clips are drawn, and how many?"""

import math

import pandas as pd

from visemix.clips.mixture import expand_mixture, read_mixture
from visemix.clips.shards import open_crops
from visemix.evaluation.resolution import pooled_seed_variance
from visemix.evaluation.statistics import HIGHER
from visemix.papers.beta_axis import real_only_run, samples
from visemix.papers.cells import mixture_file
from visemix.tables.results import Results, compared, summarise
from visemix.tables.text import render

COLUMNS = [
    "generator", "share", "draw", "clips", "run", "accuracy", "low", "high", "n", "rejected",
    "seeds", "sd", "difference", "p", "p_holm", "verdict", "scale",
]  # fmt: skip


def samplings_table(results: Results) -> pd.DataFrame:
    """One row a draw, columns COLUMNS, and first the real clips alone (share 0 per cent, no draw).

    Accuracies are as in beta_curve.curve_table, `clips` is the size of the training set. The
    difference is to the real clips alone, p_holm corrected for all draws, verdict what follows from
    it (tables.results.compared). The paper's claim is that at 50% generated clips all four draws
    beat them. The parameters of `results` are of beta_curve.seeds_of_axis.
    """
    parameters = results.parameters
    drawn, real = samples(parameters), real_only_run(parameters)
    runs = {run: results.predictions(run, "test") for run in [real, *(s.run for s in drawn)]}
    variance = pooled_seed_variance(list(runs.values()))
    rows: list[dict] = [{"share": 0, "draw": "", "generator": "", "run": real}]
    pairs = {sample: (runs[real], runs[sample.run]) for sample in drawn}
    for sample, result in compared(pairs, variance).items():
        difference = {key: result[key] for key in ("p", "p_holm", "verdict")}
        rows.append(sample._asdict() | difference | {"difference": 100 * result["difference"]})
    for row in rows:
        mixture = read_mixture(mixture_file(row["run"], parameters))
        row |= summarise(runs[row["run"]]) | {"scale": parameters["scale"]}
        row["clips"] = len(expand_mixture(mixture)[0])
    return pd.DataFrame(rows, columns=COLUMNS)


def drawn_clips(run: str, parameters: dict) -> set[str]:
    """Ids of the clips that a run was trained on."""
    mixture = read_mixture(mixture_file(run, parameters))
    source, row = expand_mixture(mixture)
    return {
        clip_id
        for number, described in enumerate(mixture["sources"])
        if (source == number).any()
        for clip_id in open_crops(described["folder"]).index.clip_id.iloc[row[source == number]]
    }


def spread_over_draws(table: pd.DataFrame) -> pd.DataFrame:
    """Columns generator, share, draws, accuracy, sd: mean and spread over the draws, per cent."""
    draws = table[table.draw != ""].groupby(["generator", "share"], sort=False).accuracy
    return draws.agg(draws="size", accuracy="mean", sd="std").reset_index()


def samplings_markdown(table: pd.DataFrame) -> str:
    """The draws, and their spread, for people."""
    spread = []
    for row in spread_over_draws(table).to_dict("records"):
        draws = table[(table.generator == row["generator"]) & (table.share == row["share"])]
        above, resolved = (draws.difference > 0).sum(), (draws.verdict == HIGHER).sum()
        spread.append(row | {"above": above, "resolved": resolved})
    several = table.seeds.iloc[0] > 1
    pooled = math.sqrt((table.sd.astype(float) ** 2).mean()) if several else None
    return render("samplings", rows=table.to_dict("records"), spread=spread, pooled=pooled)
