"""The beta axis as tables: accuracy over beta, fitted curves, and what each generator does."""

import numpy as np
import pandas as pd

from visemix.config.repeats import repeats_value
from visemix.evaluation.beta_fit import KNOTS, Fit, fit_with_interval
from visemix.evaluation.resolution import named_clips, pooled_seed_variance, scores
from visemix.evaluation.statistics import HIGHER, LOWER, ONE_TRAINING, speakers_of
from visemix.papers.beta_axis import Point, curve_points
from visemix.tables.results import Results, compared, in_points, summarise
from visemix.tables.text import render

CURVE = [
    "control", "generator", "repeats", "beta", "run", "steps", "accuracy", "low", "high", "n",
    "rejected", "seeds", "sd", "scale",
]  # fmt: skip
DIFFERENCES = [
    "control", "generator", "repeats", "beta", "run", "n", "seeds", "difference", "low", "high",
    "p", "p_holm", "verdict", "p_mcnemar", "scale",
]  # fmt: skip
FITS = [
    "control", "generator", "trainings", "place", "place_low", "place_high", "resolved", "highest",
]  # fmt: skip
CONTROLS = {"updates": "equal updates", "epochs": "equal epochs"}
BOOTSTRAP_SEED = 0


def seeds_of_axis(parameters: dict) -> dict:
    """The parameters with the seeds that the points of the axis are trained with."""
    return parameters | {"seeds": parameters["beta"]["seeds"]}


def read_axis(results: Results) -> dict[Point, list[pd.DataFrame]]:
    """Per-clip predictions on the test split of every point, one frame a seed.

    The parameters of `results`, of `seeds_of_axis`, need what rule `beta_curve` gives.
    """
    return {p: results.predictions(p.run, "test") for p in curve_points(results.parameters)}


def curve_table(axis: dict[Point, list[pd.DataFrame]], results: Results) -> pd.DataFrame:
    """One row a point, columns CURVE: accuracy, its interval and sd (`summarise`) in per cent."""
    rows = []
    for point, predictions in axis.items():
        record = results.training(point.run)
        row = point._asdict() | summarise(predictions)
        row |= {"beta": record["mixture"]["beta"], "steps": record["training"]["steps"]}
        rows.append(row | {"scale": results.parameters["scale"]})
    return pd.DataFrame(rows, columns=CURVE)


def difference_table(axis: dict[Point, list[pd.DataFrame]], curve: pd.DataFrame) -> pd.DataFrame:
    """Every mixture against the real clips alone on the same clips, columns DIFFERENCES.

    difference (per cent), its 95% interval and p are of evaluation.resolution.compare_rows, with
    the spread between seeds pooled over all runs; p_holm is p corrected for all rows of the table,
    verdict what follows from it (tables.results.compared).
    """
    by_run = {point.run: predictions for point, predictions in axis.items()}
    real = next(run for repeats, run in zip(curve.repeats, curve.run, strict=True)
                if repeats == "inf")  # fmt: skip
    points = curve[curve.repeats != "inf"].to_dict("records")
    pairs = {at: (by_run[real], by_run[point["run"]]) for at, point in enumerate(points)}
    rows = []
    for at, result in compared(pairs, pooled_seed_variance(list(by_run.values()))).items():
        rows.append(points[at] | result | in_points(result))
    return pd.DataFrame(rows)[DIFFERENCES]


def fit_axis(
    axis: dict[Point, list[pd.DataFrame]], curve: pd.DataFrame
) -> dict[tuple[str, str], Fit]:
    """The fitted curve of each (control, generator) with enough points for one."""
    fits = {}
    for key, rows in curve.groupby(["control", "generator"], sort=False):
        if rows.beta.nunique() <= KNOTS:
            continue
        frames = [axis[point] for point in axis if (point.control, point.generator) == key]
        correct = np.stack([scores(seeds) for seeds in frames])  # (points, trainings, clips)
        clusters = speakers_of(named_clips([table for seeds in frames for table in seeds]))
        beta = rows.beta.to_numpy(float)
        fits[key] = fit_with_interval(beta, correct, clusters, BOOTSTRAP_SEED)
    return fits


def fit_table(fits: dict[tuple[str, str], Fit]) -> pd.DataFrame:
    """One row a fitted curve, columns FITS: where its maximum lies, and how high it is (%)."""
    rows = [
        {"control": control, "generator": generator}
        | {key: getattr(fit, key) for key in FITS[2:-1]}
        | {"highest": 100 * fit.curve.max()}
        for (control, generator), fit in fits.items()
    ]
    return pd.DataFrame(rows, columns=FITS)


def verdicts(differences: pd.DataFrame) -> list[dict]:
    """What adding a generator's clips does: entries {control, generator, verdict, words}.

    Only mixtures that hold every real clip (N >= 1) are judged, because below that real clips are
    taken away as well. verdict is 'helps', 'harms', 'both', 'not resolved' or 'not asked', by the
    rows' own verdicts: of one training a point nothing is resolved.
    """
    entries = []
    for (control, generator), rows in differences.groupby(["control", "generator"], sort=False):
        added = rows[[repeats_value(repeats) >= 1 for repeats in rows.repeats]]
        found = {
            "helps": added[added.verdict == HIGHER],
            "harms": added[added.verdict == LOWER],
        }
        kinds = [kind for kind, points in found.items() if len(points)]
        said = "both" if len(kinds) == 2 else kinds[0] if kinds else "not resolved"
        entry = {"control": control, "generator": generator, "verdict": said}
        if added.empty:
            entry |= {"verdict": "not asked", "words": "no N from 1 on was run"}
        elif kinds:
            entry["words"] = "; ".join(f"{kind} at {_shown(found[kind])}" for kind in kinds)
        elif (added.verdict == ONE_TRAINING).all():
            entry["words"] = "not resolved: one training a point, and another seed may turn it"
        else:
            reach = (added.high - added.low).max() / 2
            entry["words"] = (
                f"not resolved at n = {added.n.iloc[0]}: the intervals reach {reach:.0f} points "
                "to either side"
            )
        entries.append(entry)
    return entries


def _shown(rows: pd.DataFrame) -> str:
    return ", ".join(f"N = {row.repeats} ({row.difference:+.1f})" for row in rows.itertuples())


def place_in_words(fit: Fit | None) -> str:
    """Where the maximum of a curve lies, or that it cannot be said."""
    if fit is None:
        return f"no curve was fitted: fewer than {KNOTS + 1} points"
    interval = f"[{fit.place_low:.2f}, {fit.place_high:.2f}]"
    if fit.trainings == 1:
        return f"maximum not resolved: one training a point; of these it may be in {interval}"
    if not fit.resolved:
        return f"maximum not resolved: anywhere in beta {interval}"
    return f"maximum at beta {fit.place:.2f} {interval}"


def curve_markdown(curve: pd.DataFrame, fits: dict[tuple[str, str], Fit]) -> str:
    """Accuracy over beta for people."""
    pairs = dict.fromkeys(zip(curve.control, curve.generator, strict=True))
    places = [(CONTROLS[c], g, place_in_words(fits.get((c, g)))) for c, g in pairs]
    rows = curve.to_dict("records")
    return render("beta_curve", rows=rows, controls=CONTROLS, places=places)


def differences_markdown(differences: pd.DataFrame) -> str:
    """Every mixture against the real clips alone, and the verdicts, for people."""
    rows, said = differences.to_dict("records"), verdicts(differences)
    return render("beta_verdicts", rows=rows, controls=CONTROLS, verdicts=said)
