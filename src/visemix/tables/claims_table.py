"""The papers' claims: what their cells say, what a test set could tell, and what our runs say."""

import pandas as pd

from visemix.evaluation.crossed import crossed_difference
from visemix.evaluation.published import Z, independent_z, most_discordant
from visemix.evaluation.resolution import compare_rows, named_clips, pooled_seed_variance, scores
from visemix.evaluation.statistics import HIGHER, LOWER, UNRESOLVED, holm, speakers_of, verdict
from visemix.papers.cells import Cell
from visemix.papers.claims import claim_cells, compared_pairs, not_run_because, read_claims
from visemix.tables.results import Results, in_points
from visemix.tables.text import render

COLUMNS = [
    "id", "paper", "where", "claim", "cells", "arithmetic", "arithmetic_verdict", "note",
    "resolvable", "ours", "verdict",
]  # fmt: skip


def arithmetic(claim: dict) -> dict[str, float]:
    """Values of a claim's expressions, computed from the cells and numbers it names."""
    names = {name: cell.published for name, cell in claim_cells(claim).items()}
    names |= claim.get("numbers", {})
    return {
        expression: float(pd.eval(expression, local_dict=names, engine="python"))
        for expression in claim.get("arithmetic", {})
    }


def claims_table(results: Results) -> pd.DataFrame:
    """One row a claim of papers/claims.yaml, columns COLUMNS, all text.

    `ours` are the numbers of our runs with n and interval, or 'not run: why'; verdict is
    'supported', 'contradicted', 'not resolved at this n', ONE_TRAINING or 'not run', and speaks of
    the corpus and the scale that `ours` names. p is corrected (Holm) for all claims that our runs
    are asked about; what is resolved is as of evaluation.statistics.verdict.
    The parameters of `results` need corpus.name, papers, runs, scale and seeds.
    """
    claims, test_sets = read_claims()
    parameters = results.parameters
    reasons = {claim["id"]: not_run_because(claim, parameters["papers"]) for claim in claims}
    found = {
        claim["id"]: _difference(claim, results) for claim in claims if reasons[claim["id"]] is None
    }
    adjusted = dict(zip(found, holm([result["p"] for result in found.values()]), strict=True))
    rows = []
    for claim in claims:
        key = claim["id"]
        row = {"ours": f"not run: {reasons[key]}", "verdict": "not run"}
        if key in found:
            row = _ours(claim, found[key], adjusted[key], parameters)
        rows.append(
            {
                "id": key,
                "paper": key.split("/")[0],
                "where": claim["where"],
                "claim": claim["claim"],
                "cells": ", ".join(
                    f"{c.id} ({c.published:g})" for c in claim_cells(claim).values()
                ),
                "arithmetic": "; ".join(
                    f"{e} = {round(v, 3):,g}" for e, v in arithmetic(claim).items()
                ),
                "arithmetic_verdict": claim["verdict"],
                "note": claim.get("note", ""),
                "resolvable": _resolvable(compared_pairs(claim), test_sets),
            }
            | row
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _resolvable(pairs: list[tuple[Cell, Cell]], test_sets: dict[str, dict]) -> str:
    """Whether one test set could show the claimed difference, unpaired and paired."""
    cells = [cell for pair in pairs for cell in pair]
    if not cells:
        return "not asked: no difference of two rows is claimed"
    if cells[0].test_set not in test_sets:
        return f"not known: the size of {cells[0].test_set} is not stated"
    known = test_sets[cells[0].test_set]
    n, effect = known["n"], known["design_effect"]
    gain = abs(_published_gain(pairs)) / 100
    z = independent_z(gain, [cell.published / 100 for cell in cells], n, effect)
    unpaired = f"unpaired z = {z:.2f} at n = {n} {known['unit']}"
    if z >= Z:
        return f"yes, even unpaired ({unpaired})"
    if len(pairs) > 1:
        return f"not unpaired ({unpaired}); paired it takes the predictions of four evaluations"
    if any(cell.quoted_from for cell in cells):
        return f"no: {unpaired}, and a quoted system has no predictions to be paired with"
    least, most = known["disagreement"]
    limit = 100 * most_discordant(gain, n, effect)
    kind = "no" if limit < least else "borderline" if limit < most else "paired only"
    paired = f"paired while the two disagree on at most {limit:.1f}% of {known['unit']}"
    return f"{kind}: {unpaired}; {paired} ({least} to {most}% may be expected)"


def _published_gain(pairs: list[tuple[Cell, Cell]]) -> float:
    """The claimed difference, or the second gain minus the first; in points, as printed."""
    gains = [better.published - worse.published for worse, better in pairs]
    return gains[0] if len(gains) == 1 else gains[1] - gains[0]


def _difference(claim: dict, results: Results) -> dict:
    """What our runs say of the claimed difference: difference, low, high (points), n and p."""
    pairs = compared_pairs(claim)
    if len(pairs) == 2:
        return _difference_of_gains(pairs, results)
    worse, better = pairs[0]
    paper, table, _ = worse.id.split("/")
    rows = results.of_table(paper, table)
    seeds = pooled_seed_variance(list(rows.values()))
    result = compare_rows(rows[worse.own_run], rows[better.own_run], seeds)
    return in_points(result) | {"n": result["n"], "p": result["p"]}


def _difference_of_gains(pairs: list[tuple[Cell, Cell]], results: Results) -> dict:
    """The second gain minus the first, of two runs on the clips that both test sets hold."""
    rows = []  # of each run, a table a seed: right on the second test set minus right on the first
    for run in (cell.own_run for cell in pairs[0]):
        first, second = (results.predictions(run, pair[0].test_set) for pair in pairs)
        both = [
            a.merge(b[["clip_id", "correct"]], on="clip_id", validate="1:1")
            for a, b in zip(first, second, strict=True)
        ]
        rows.append([t.assign(correct=t.correct_y.astype(float) - t.correct_x) for t in both])
    clusters = speakers_of(named_clips([*rows[0], *rows[1]]))
    less, more = map(scores, rows)
    result = crossed_difference(less, more, clusters, pooled_seed_variance(rows))
    low, high = result.interval
    found = {"difference": result.mean, "low": low, "high": high}
    return in_points(found) | {"n": len(clusters), "p": result.p}


def _ours(claim: dict, found: dict, adjusted: float, parameters: dict) -> dict:
    """Columns ours and verdict of a claim that our runs were asked about."""
    pairs = compared_pairs(claim)
    seeds, printed = len(parameters["seeds"]), _published_gain(pairs)
    fits = "within" if found["low"] <= printed <= found["high"] else "outside"
    text = (
        f"{found['difference']:+.1f} points [{found['low']:+.1f}, {found['high']:+.1f}], "
        f"n = {found['n']} clips, {seeds} seed{'s' * (seeds > 1)}, p (Holm) = {adjusted:.2g}, on "
        f"the corpus {parameters['corpus']['name']} at scale {parameters['scale']}; the printed "
        f"{printed:+.1f} lies {fits} that interval"
    )
    changed = {cell.own_run for pair in pairs for cell in pair} & set(parameters["runs"])
    if changed:
        text += f"; not the paper's runs but changed ones: {', '.join(sorted(changed))}"
    words = {HIGHER: "supported", LOWER: "contradicted", UNRESOLVED: "not resolved at this n"}
    said = verdict(found["difference"], adjusted, seeds)
    return {"ours": text, "verdict": words.get(said, said)}


def claims_markdown(table: pd.DataFrame, parameters: dict) -> str:
    """The claims for people: how many of each verdict, then a paragraph a claim."""
    return render(
        "claims",
        corpus=parameters["corpus"]["name"],
        scale=parameters["scale"],
        by_cells=table.arithmetic_verdict.value_counts().to_dict(),
        by_runs=table.verdict.value_counts().to_dict(),
        claims=table.to_dict("records"),
    )
