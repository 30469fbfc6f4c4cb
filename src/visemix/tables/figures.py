"""Figures of the beta axis, drawn with matplotlib and returned as PNG bytes."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from visemix.evaluation.beta_fit import Fit
from visemix.evaluation.statistics import HIGHER, LOWER
from visemix.report.figures import PUBLISHED, to_png

REAL, SYNTHETIC = "#1f6fb4", "#d2691e"


def curve_figure(
    curve: pd.DataFrame, fits: dict[tuple[str, str], Fit], names: dict[str, str]
) -> bytes:
    """Accuracy over beta: a panel a control, a colour a generator, the fit with its 95% band.

    curve: columns of report.beta.CURVE, per cent; names: {control: its name}. The bar at the foot
    is the interval of the maximum's place, where it is resolved; N stands above.
    """
    controls = list(dict.fromkeys(curve.control))
    figure, panels = plt.subplots(
        1, len(controls), figsize=(2.2 + 5.3 * len(controls), 4.8), sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for panel, control in zip(panels[0], controls, strict=True):
        points = curve[curve.control == control]
        for number, (generator, rows) in enumerate(points.groupby("generator", sort=False)):
            colour = f"C{number}"
            errors = [rows.accuracy - rows.low, rows.high - rows.accuracy]
            panel.errorbar(
                rows.beta, rows.accuracy, yerr=errors, fmt="o", color=colour, markersize=4,
                capsize=2, linewidth=1, label=f"{generator}, 95% interval",
            )  # fmt: skip
            fit = fits.get((control, generator))
            if fit is not None:
                _draw_fit(panel, fit, colour, generator, 2 + 3 * number)
        real = points[points.repeats == "inf"].accuracy.iloc[0]
        panel.axhline(real, color=PUBLISHED, linestyle=":", label="real clips alone")
        _name_repeats(panel, points[points.generator == points.generator.iloc[0]])
        panel.set(xlabel="beta: share of real clips drawn", ylim=(0, 100), xlim=(-0.03, 1.03))
        panel.set_title(f"{names[control]}, scale {points.scale.iloc[0]}, n = {points.n.iloc[0]}",
                        fontsize=9)  # fmt: skip
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1, 0.06))
    panels[0, 0].set_ylabel("word accuracy (%)")
    return to_png(figure)


def _draw_fit(panel, fit: Fit, colour: str, generator: str, foot: float) -> None:
    panel.plot(fit.grid, 100 * fit.curve, color=colour, linewidth=1.4)
    panel.fill_between(fit.grid, 100 * fit.low, 100 * fit.high, color=colour, alpha=0.15)
    if fit.resolved:
        panel.plot([fit.place_low, fit.place_high], [foot, foot], color=colour, linewidth=3,
                   label=f"{generator}: place of the maximum")  # fmt: skip
        panel.plot([fit.place], [foot], marker="|", color=colour, markersize=11)


def _name_repeats(panel, rows: pd.DataFrame) -> None:
    """N of each point on an axis above, upright because betas of large N are close."""
    above = panel.secondary_xaxis("top")
    above.set_xticks(rows.beta, rows.repeats, fontsize=7, rotation=90)
    above.set_xlabel("N: how often the real clips are drawn", fontsize=8)


def difference_figure(differences: pd.DataFrame, names: dict[str, str]) -> bytes:
    """Every mixture's accuracy minus that of the real clips alone, with 95% intervals.

    differences: columns of report.beta.DIFFERENCES, percentage points. Filled: resolved by the
    column verdict.
    """
    figure, axes = plt.subplots(figsize=(8, 1.6 + 0.3 * len(differences)), layout="constrained")
    y = np.arange(len(differences))[::-1]
    for place, row in zip(y, differences.itertuples(), strict=True):
        resolved = row.verdict in (HIGHER, LOWER)
        axes.plot([row.low, row.high], [place, place], color=REAL, linewidth=1.2)
        axes.plot(row.difference, place, "o", color=REAL,
                  markerfacecolor=REAL if resolved else "white")  # fmt: skip
    axes.axvline(0, color=PUBLISHED, linestyle=":")
    labels = [
        f"{row.generator}, {names[row.control]}, N = {row.repeats} (beta {row.beta:.2f})"
        for row in differences.itertuples()
    ]
    axes.set_yticks(y, labels, fontsize=8)
    axes.set_xlabel("points of word accuracy against the real clips alone")
    axes.set_title(
        "filled: resolved (p below 5% after Holm's correction; more than one training a point)",
        fontsize=9,
    )
    axes.grid(axis="x", alpha=0.3)
    return to_png(figure)


def samplings_figure(
    samplings: pd.DataFrame, places: pd.DataFrame, drawn: dict[str, set[str]], title: str
) -> bytes:
    """Fig. 2: where the drawn clips lie among all of them; a row a share, a column a draw.

    samplings: columns of report.samplings.COLUMNS of one generator, per cent; places: columns
    clip_id, role ('real' | 'synthetic'), x and y of a t-SNE embedding; drawn: {run: ids of the
    clips it was trained on}.
    """
    shares, draws = samplings.share.unique(), samplings.draw.unique()
    figure, panels = plt.subplots(
        len(shares), len(draws), figsize=(2.5 * len(draws), 2.6 * len(shares) + 0.9),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for row in samplings.itertuples():
        panel = panels[list(shares).index(row.share), list(draws).index(row.draw)]
        chosen = places.clip_id.isin(drawn[row.run])
        panel.scatter(places.x[~chosen], places.y[~chosen], s=2, color="#dddddd")
        for role, colour in (("real", REAL), ("synthetic", SYNTHETIC)):
            part = places[chosen & (places.role == role)]
            panel.scatter(part.x, part.y, s=4, color=colour, label=f"{role}, drawn")
        panel.set_title(f"{row.share}% synthetic, {row.draw}\n{row.accuracy:.1f} "
                        f"[{row.low:.1f}, {row.high:.1f}]", fontsize=8)  # fmt: skip
        panel.set(xticks=[], yticks=[])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, markerscale=3, loc="outside lower center", ncols=2)
    figure.suptitle(title, fontsize=9)
    return to_png(figure)
