"""Figures of the tables and of the report, drawn with matplotlib and returned as PNG bytes."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

PUBLISHED, HERE = "#888888", "#1f6fb4"


def to_png(figure) -> bytes:
    """PNG bytes of a matplotlib figure, which is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def table_figure(
    frame: pd.DataFrame,
    caption: str,
    scale: str,
    chance: float | None,
    metric: str = "word accuracy (%)",
) -> bytes:
    """Dot plot of a table: published values in grey, values measured here with their intervals.

    frame: columns of tables.results.COLUMNS, per cent; chance: per cent, drawn as a dotted line.
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
    low, high = float(row.difference_low), float(row.difference_high)
    interval = f"{float(row.difference):+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"{interval}, p (Holm) = {float(row.p_holm):.2g}"


def angle_figure(frame: pd.DataFrame, names: dict[str, str], title: str) -> bytes:
    """Accuracy over the angle of the turn: panels yaw, pitch and both axes, a line a run.

    frame: columns of report.angles.COLUMNS, per cent and degrees; names: {run: its row}. The
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


def training_curves(histories: dict[str, list[pd.DataFrame]], chance: float) -> bytes:
    """Training loss and validation accuracy over optimiser steps: a colour a run, a line a seed.

    histories: {run: frames with columns step, training_loss and validation_accuracy (0..1)}.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
    for number, (run, frames) in enumerate(histories.items()):
        for seed, history in enumerate(frames):
            style = {"color": f"C{number}", "linestyle": ("-", "--", ":", "-.")[seed % 4]}
            label = run if seed == 0 else None
            left.plot(history.step, history.training_loss, linewidth=1.2, **style)
            accuracy = 100 * history.validation_accuracy
            right.plot(history.step, accuracy, linewidth=1.2, label=label, **style)
    right.axhline(100 * chance, color=PUBLISHED, linestyle=":", label="chance")
    left.set(xlabel="optimiser step", ylabel="training loss (word + visemes)")
    right.set(xlabel="optimiser step", ylabel="validation accuracy (%)")
    right.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    return to_png(figure)


def contact_sheet(rows: list[tuple[str, np.ndarray]], every: int = 2) -> bytes:
    """Mouth crops in rows. rows: (title, crops (T, 96, 96) uint8); every n-th frame is shown."""
    shown = [crops[::every] for _, crops in rows]
    width = max(len(s) for s in shown)
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(0.62 * width + 1.6, 0.66 * len(rows)), squeeze=False
    )
    for axis, (title, _), crops in zip(axes[:, 0], rows, shown, strict=True):
        axis.imshow(np.hstack(list(crops)), cmap="gray", vmin=0, vmax=255, aspect="equal")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
    figure.subplots_adjust(hspace=0.04)
    return to_png(figure)


def attention_figure(
    rows: list[tuple[str, np.ndarray, np.ndarray, np.ndarray, set[str]]], classes: list[str]
) -> bytes:
    """Frames of clips, and below them how near each viseme class is to each and which it takes.

    rows: (title, crops (T, 96, 96) uint8, cosines (T, classes), attention alpha (T, classes), the
    classes of the word). The area of a dot is alpha; classes of the word are marked.
    """
    figure, axes = plt.subplots(
        2 * len(rows), 1, figsize=(11, 4.6 * len(rows)), layout="constrained",
        height_ratios=[1, 5] * len(rows), squeeze=False,
    )  # fmt: skip
    for number, (title, crops, cosines, alpha, spoken) in enumerate(rows):
        strip, panel = axes[2 * number : 2 * number + 2, 0]
        strip.imshow(np.hstack(list(crops)), cmap="gray", vmin=0, vmax=255, aspect="auto")
        strip.set_title(title, fontsize=9, loc="left")
        strip.set_axis_off()
        limit = max(np.abs(cosines).max(), 1e-6)
        picture = panel.imshow(
            cosines.T, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="none"
        )
        frames, kinds = np.nonzero(alpha > 0.01)
        panel.scatter(frames, kinds, s=30 * alpha[frames, kinds], color="black", linewidths=0)
        names = [f"{name} (in the word)" if name in spoken else name for name in classes]
        panel.set_yticks(range(len(classes)), names, fontsize=7)
        panel.set(xlabel="frame", xticks=range(0, len(crops), 4))
        figure.colorbar(picture, ax=panel, label="cosine; dots: attention", pad=0.01)
    return to_png(figure)


def score_distribution(scores: dict[str, np.ndarray]) -> bytes:
    """Share of each set's clips whose mean detector score is at most that (0..1)."""
    figure, axes = plt.subplots(figsize=(6, 3))
    for name, values in scores.items():
        values = np.sort(values)
        axes.step(values, 100 * np.arange(1, len(values) + 1) / len(values), where="post",
                  label=f"{name}, {len(values)} clips")  # fmt: skip
    axes.set(xlabel="mean detector score of a clip", ylabel="clips at or below (%)", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return to_png(figure)


def confusion_matrix(predictions: pd.DataFrame, words: list[str]) -> bytes:
    """Share of each word's clips (rows) that were read as each word (columns), in per cent.

    For so many words that a table of them is too large; the axes count them in alphabetical order.
    predictions: columns label and top5; rejected clips, which have no top5, are in no column.
    """
    best = predictions.top5.map(lambda words: words[0] if len(words) else "rejected")
    table = pd.crosstab(predictions.label, best, normalize="index")
    table = table.reindex(index=words, columns=words, fill_value=0.0) * 100
    figure, axes = plt.subplots(figsize=(9, 8))
    picture = axes.imshow(table, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="share of the spoken word's clips (%)")
    axes.set(xlabel="read as (number of the word)", ylabel="spoken (number of the word)")
    return to_png(figure)


def write_png(path: str | Path, data: bytes) -> None:
    """Write PNG bytes atomically."""
    from visemix.run.atomic import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
