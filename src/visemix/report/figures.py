"""Figures of the report's pages, drawn with matplotlib and returned as PNG bytes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from visemix.tables.figures import PUBLISHED, to_png


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
    """Proportion of each set's clips whose mean detector score is at most that (0..1)."""
    figure, axes = plt.subplots(figsize=(6, 3))
    for name, values in scores.items():
        values = np.sort(values)
        axes.step(values, 100 * np.arange(1, len(values) + 1) / len(values), where="post",
                  label=f"{name}, {len(values)} clips")  # fmt: skip
    axes.set(xlabel="mean detector score of a clip", ylabel="clips at or below (%)", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return to_png(figure)


def confusion_matrix(percentages: pd.DataFrame, words: list[str]) -> bytes:
    """How many of each word's clips (rows) were read as each word (columns), in per cent.

    For so many words that a table of them is too large; the axes count them in alphabetical order.
    percentages: of confusion.row_percentages; rejected clips are in no column.
    """
    table = percentages.reindex(index=words, columns=words, fill_value=0.0)
    figure, axes = plt.subplots(figsize=(9, 8))
    picture = axes.imshow(table, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(picture, label="share of the spoken word's clips (%)")
    axes.set(xlabel="read as (number of the word)", ylabel="spoken (number of the word)")
    return to_png(figure)
