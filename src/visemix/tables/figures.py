"""Figures of the tables, drawn with matplotlib and returned as PNG bytes."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from visemix.evaluation.beta_fit import Fit
from visemix.evaluation.statistics import HIGHER, LOWER
from visemix.run.atomic import atomic_path
from visemix.tables.text import with_interval

PUBLISHED, HERE = "#888888", "#1f6fb4"
REAL, SYNTHETIC = "#1f6fb4", "#d2691e"


def to_png(figure) -> bytes:
    """PNG bytes of a matplotlib figure, which is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def write_png(path: str | Path, data: bytes) -> None:
    """Write PNG bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def table_figure(
    frame: pd.DataFrame,
    caption: str,
    scale: str,
    chance: float | None,
    metric: str = "word accuracy (%)",
) -> bytes:
    """Dot plot of a table: published values in grey, values measured here with their intervals.

    frame: columns of paper_table.COLUMNS, per cent; chance: per cent, drawn as a dotted line.
    Beside each row stands its difference from the one it is compared with.
    """
    height = 1.2 + 0.38 * len(frame)
    figure, axes = plt.subplots(figsize=(10, height), layout="constrained")
    y = np.arange(len(frame))[::-1]
    axes.scatter(frame.published, y, color=PUBLISHED, marker="D", s=26, label="published")
    measured = frame.n.astype(str) != ""
    if measured.any():
        rows = frame[measured]
        value = rows.accuracy.astype(float)
        errors = [value - rows.low.astype(float), rows.high.astype(float) - value]
        axes.errorbar(
            value, y[measured], xerr=errors, fmt="o", color=HERE, capsize=3,
            label=f"here, scale {scale}, n = {rows.n.iloc[0]}, 95% interval",
        )  # fmt: skip
    if chance is not None:
        axes.axvline(chance, color=PUBLISHED, linestyle=":", label="chance here")
    axes.set_yticks(y, [_label(row) for row in frame.itertuples()], fontsize=8)
    limit = max(100, 1.05 * frame.published.max())  # word error rates may be above 100
    compared = [(place, row) for place, row in zip(y, frame.itertuples(), strict=True) if row.above]
    for place, row in compared:
        axes.text(1.01 * limit, place, _difference(row), fontsize=7, va="center")
    if compared:
        axes.text(1.01 * limit, y[0], "points, against the row above", fontsize=7, va="center")
    axes.set_xlabel(metric)
    axes.set_xlim(0, limit)
    axes.set_title(caption, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(fontsize=7, loc="outside lower center", ncols=3)
    return to_png(figure)


def _label(row) -> str:
    name = row.row.replace("LRW+SynData+VisLabel+TAFM", "LRW+SynData+\nVisLabel+TAFM")
    return f"{name}\n(our other reading, no cell of the paper)" if row.other_reading_of else name


def _difference(row) -> str:
    """A row's difference from the one that it is compared with, in points."""
    values = row.difference, row.difference_low, row.difference_high
    return f"{with_interval(*values, '+.1f')}, p (Holm) = {row.p_holm:.2g}"


def angle_figure(frame: pd.DataFrame, names: dict[str, str], title: str) -> bytes:
    """Accuracy over the angle of the turn: panels yaw, pitch and both axes, a line a run.

    frame: columns of angles.COLUMNS, per cent and degrees; names: {run: its row}. The
    untouched clips stand at 0 in every panel; under each angle is the number of its clips.
    """
    figure, panels = plt.subplots(1, 3, figsize=(11, 4), sharey=True, layout="constrained")
    for panel, axis in zip(panels, ("yaw", "pitch", "both"), strict=True):
        points = frame[frame.axis.isin(["untouched", axis])]
        for number, run in enumerate(names):
            line = points[points.run == run]
            x = line.angle + 1.2 * (number - (len(names) - 1) / 2)  # intervals side by side
            errors = [line.accuracy - line.low, line.high - line.accuracy]
            panel.errorbar(
                x, line.accuracy, yerr=errors, color=f"C{number}", label=f"{run}: {names[run]}",
                marker="o", markersize=4, capsize=2, linewidth=1.2,
            )  # fmt: skip
        ticks = points.drop_duplicates("angle")
        labels = [f"{a:g}\nn = {n}" for a, n in zip(ticks.angle, ticks.n, strict=True)]
        panel.set_xticks(ticks.angle, labels, fontsize=7)
        panel.set_title(
            {"both": "yaw and pitch (the larger)"}.get(axis, f"{axis} only"), fontsize=9
        )
        panel.set(xlabel="angle (degrees); 0: untouched clips", ylim=(-3, 103))
        panel.set_xlim(-5, frame.angle.max() + 5)
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("word accuracy (%), 95% interval")
    figure.suptitle(title, fontsize=10)
    figure.legend(
        *panels[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=2
    )
    return to_png(figure)


def curve_figure(
    curve: pd.DataFrame, fits: dict[tuple[str, str], Fit], names: dict[str, str]
) -> bytes:
    """Accuracy over beta: a panel a control, a colour a generator, the fit with its 95% band.

    curve: columns of beta_curve.CURVE, per cent; names: {control: its name}. The bar at the foot
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

    differences: columns of beta_curve.DIFFERENCES, percentage points. Filled: resolved by the
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
    """Fig. 2: where the drawn clips lie among all; a row a proportion, a column a draw.

    samplings: columns of samplings.COLUMNS of one generator, per cent; places: columns
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
        value = with_interval(row.accuracy, row.low, row.high)
        panel.set_title(f"{row.share}% synthetic, {row.draw}\n{value}", fontsize=8)
        panel.set(xticks=[], yticks=[])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, markerscale=3, loc="outside lower center", ncols=2)
    figure.suptitle(title, fontsize=9)
    return to_png(figure)
