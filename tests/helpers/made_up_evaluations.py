"""Evaluations of the runs of LipGen with the accuracies that a test asks for."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

CLIPS = 300


def write_evaluations(
    folder: Path, shares: dict[str, dict[str, float]], speakers: list[str], seeds: int = 2
) -> None:
    """Write predictions of corpus lrw and records under `folder`.

    shares: {run: {test set: share of its clips that are read}}. What is hard is nearly the same for
    all runs, so that a larger share is mostly the same clips and some more.
    """
    rng = np.random.default_rng(0)
    clips = [f"c{i:03}" for i in range(CLIPS)]
    hardness = rng.random(CLIPS)
    for run, sets in shares.items():
        for seed in range(seeds):
            out = folder / f"runs/{run}/seed-{seed}"
            out.mkdir(parents=True)
            record = {"mixture": {"sources": []}, "parameters": 1e6, "epochs": 1.0}
            record["training"] = {"equal": "updates", "steps": 7}
            (out / "training.json").write_text(json.dumps(record))
            for test_set, share in sets.items():
                frame = pd.DataFrame({"clip_id": clips, "label": "A", "speaker": speakers})
                frame["correct"] = hardness + rng.normal(0, 0.05, CLIPS) < share
                frame["rejected"] = False
                out = folder / f"evaluations/{run}/seed-{seed}/lrw-{test_set}"
                out.mkdir(parents=True)
                frame.sample(frac=1, random_state=seed).to_parquet(out / "predictions.parquet")
