"""A picture of what the viseme classes of a paper's full model attend to, on three test clips."""

from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import open_crops
from visemix.papers.cells import read_paper, resolve_run
from visemix.report.figures import attention_figure
from visemix.visemes import read_viseme_map, viseme_classes

CLIPS = 3


def attention_picture(paper: str, parameters: dict) -> bytes | None:
    """PNG of the first test clips of words from all over the vocabulary, first seed.

    None where the full model has no TAFM on a viseme branch, or no test clip is left.
    """
    run = read_paper(paper)["full_model"]
    if resolve_run(run, parameters)["tafm_on"] not in ("visemes", "both"):
        return None
    from visemix.evaluation.attention import viseme_attention  # torch

    visemes = parameters["visemes"]["map"]
    classes = viseme_classes(read_viseme_map(visemes))
    words = pd.read_parquet(f"data/visemes/{visemes}.parquet").set_index("word")
    with open_crops(f"data/crops/{parameters['corpus']['name']}-test") as crops:
        first = crops.index.reset_index(drop=True).sort_values("clip_id").drop_duplicates("label")
        first = first.sort_values("label")
        if first.empty:
            return None
        shown = np.unique(np.linspace(0, len(first) - 1, CLIPS).round().astype(int))
        rows = []
        folder = Path("runs") / run / f"seed-{parameters['seeds'][0]}"
        for row in first.index[shown]:
            clip = crops.read(np.array([row]))[0]
            cosines, alpha = viseme_attention(folder, clip[None])
            label, clip_id = first.loc[row, ["label", "clip_id"]]
            spoken = {c for c, is_in in zip(classes, words.multi_hot[label], strict=True) if is_in}
            rows.append((f"{label} ({clip_id})", clip, cosines[0], alpha[0], spoken))
    return attention_figure(rows, classes)
