"""What the runs of the working directory gave: each file read once; rows summed up, compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from visemix.evaluation.resolution import compare_rows, pooled_seed_variance
from visemix.evaluation.statistics import holm, verdict, wilson_interval
from visemix.papers.cells import compared_runs, evaluation_folder, table_runs, table_test_set
from visemix.run.atomic import sha256_file


class Results:
    """Trainings and evaluations of the working directory, each file read when first asked for.

    parameters: resolved; `corpus.name` and `seeds` say which files there are. All who ask share
    what was read, and do not change it.
    """

    def __init__(self, parameters: dict):
        self.parameters = parameters
        self._read: dict[tuple, Any] = {}

    def _once(self, read: Callable, *what):
        if (read, what) not in self._read:
            self._read[read, what] = read(*what)
        return self._read[read, what]

    def predictions(self, run: str, test_set: str) -> list[pd.DataFrame]:
        """Per-clip predictions of a run on a test set, one frame a seed."""
        corpus = self.parameters["corpus"]["name"]
        folders = [evaluation_folder(run, s, corpus, test_set) for s in self.parameters["seeds"]]
        return [self._once(pd.read_parquet, folder / "predictions.parquet") for folder in folders]

    def of_table(self, paper: str, table: str) -> dict[str, list[pd.DataFrame]]:
        """Predictions of the reproduced rows of a table, {run: one frame a seed}."""
        test_set = table_test_set(paper, table)
        return {run: self.predictions(run, test_set) for run in table_runs(paper, table)}

    def comparisons(self, paper: str, table: str) -> dict[tuple[str, str], dict]:
        """`compared` for papers.cells.compared_runs of a table: {(earlier, later run): result}."""
        return self._once(self._compare, paper, table)

    def _compare(self, paper: str, table: str) -> dict[tuple[str, str], dict]:
        rows = self.of_table(paper, table)
        pairs = {pair: [rows[run] for run in pair] for pair in compared_runs(paper, table)}
        return compared(pairs, pooled_seed_variance(list(rows.values())))

    def training(self, run: str, seed: int | None = None) -> dict:
        """training.json of a run, by default of the first seed."""
        seed = self.parameters["seeds"][0] if seed is None else seed
        return self.json(Path(f"runs/{run}/seed-{seed}/training.json"))

    def histories(self, run: str) -> list[pd.DataFrame]:
        """history.csv of a run, one frame a seed."""
        seeds = self.parameters["seeds"]
        return [self._once(pd.read_csv, Path(f"runs/{run}/seed-{s}/history.csv")) for s in seeds]

    def json(self, path: Path):
        """Content of a JSON file."""
        return self._once(_read_json, path)

    def sha256(self, file: str) -> str:
        """Digest of a file as it lies there."""
        return self._once(sha256_file, file)


def _read_json(path: Path):
    return json.loads(path.read_text())


def percent(accuracy: float, n: int) -> dict:
    """An accuracy (0..1) over n clips with its 95% Wilson interval: accuracy, low, high (%)."""
    low, high = wilson_interval(round(accuracy * n), n)
    return {"accuracy": 100 * accuracy, "low": 100 * low, "high": 100 * high}


def summarise(predictions: list[pd.DataFrame]) -> dict:
    """Accuracy (%), its interval, n, rejected clips, number of seeds and their sd (%).

    The 95% Wilson interval is that of the mean over seeds on n clips: seeds share the clips, so
    they do not narrow it. sd is '' with one seed. Rejected clips are in n, as errors, unless
    evaluation.rejected_are_errors is false.
    """
    n = len(predictions[0])
    accuracies = pd.Series([frame.correct.mean() for frame in predictions])
    return percent(accuracies.mean(), n) | {
        "n": n,
        "rejected": int(predictions[0].rejected.sum())
        + predictions[0].attrs.get("rejected_left_out", 0),
        "seeds": len(predictions),
        "sd": 100 * accuracies.std() if len(predictions) > 1 else "",
    }


def compared(pairs: dict, seeds: tuple[float, int]) -> dict:
    """Compare pairs of rows that stand in one table; each row is its prediction tables, one a seed.

    seeds: of `pooled_seed_variance`. Returns for each key what evaluation.resolution.compare_rows
    says, with p_holm, corrected for all pairs, and verdict (evaluation.statistics.verdict).
    """
    found = {key: compare_rows(one, other, seeds) for key, (one, other) in pairs.items()}
    adjusted = holm([result["p"] for result in found.values()])
    return {
        key: result | {"p_holm": p, "verdict": verdict(result["difference"], p, len(pairs[key][0]))}
        for (key, result), p in zip(found.items(), adjusted, strict=True)
    }


def in_points(result: dict, *keys: str) -> dict:
    """Values of a comparison (0..1), by default the difference and its interval, in points."""
    return {key: 100 * result[key] for key in keys or ("difference", "low", "high")}
