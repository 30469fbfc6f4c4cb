"""Artifacts that were made again beside those of the record: which differs first, and by how much.

Data (shards, Parquet, CSV, weights) are compared by their bytes. JSON records are compared value by
value, but for those that must differ from run to run or repeat what is compared anyway.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import INDEX, MANIFEST, REJECTS
from visemix.papers.cells import Cell, evaluation_folder, mixture_file, resolve_run
from visemix.run.atomic import sha256_file
from visemix.run.parameters import flatten

# wall clock and interruptions; where and with which code; digests of files compared themselves
NOT_COMPARED = (
    "wall_seconds", "clips_per_second", "resumed_at_step",
    "environment", "device", "drawn_on", "code", "parameters.version", "identity",
    "digests", "manifest_sha256", "crops_manifest_sha256", "rejects_sha256",
)  # fmt: skip


def compared_files(cell: Cell, parameters: dict, start: str) -> list[Path]:
    """Files of the record that are made again, from the corpus to the predictions."""
    run, corpus = resolve_run(cell.run, parameters), parameters["corpus"]["name"]
    seeds = parameters["seeds"]
    files = []
    if start == "corpus":
        files += _corpus_files(cell, parameters, run, corpus)
    if start != "evaluation":
        files.append(mixture_file(cell.run, parameters))
        folders = [Path("runs") / cell.run / f"seed-{seed}" for seed in seeds]
        names = ("history.csv", "model.safetensors", "training.json")
        files += [folder / name for folder in folders for name in names]
    folders = [evaluation_folder(cell.run, seed, corpus, cell.test_set) for seed in seeds]
    return files + [f / name for f in folders for name in ("predictions.parquet", "metrics.json")]


def _corpus_files(cell: Cell, parameters: dict, run: dict, corpus: str) -> list[Path]:
    sets, generator = ["train", "val", cell.test_set], parameters["synthesis"]["generator"]
    files = [Path("data/manifests") / f"{corpus}.parquet"]
    if cell.test_set == "pose":
        files.append(Path("data/manifests") / f"{corpus}-pose.parquet")
    files.append(Path("data/visemes") / f"{parameters['visemes']['map']}.parquet")
    if run["synthetic"]:
        sets.append(generator)
        files.append(Path("data/synthesis") / f"{corpus}-{generator}" / "pairs.parquet")
    for name in sets:
        folder = Path("data/crops") / f"{corpus}-{name}"
        shards = json.loads((folder / MANIFEST).read_text())["shards"]
        names = [*(shard["file"] for shard in shards), INDEX, REJECTS, MANIFEST]
        files += [folder / file for file in names]
    return files


def compare_files(files: list[Path], remade: Path) -> list[dict]:
    """Entries {path, sha256, recorded_sha256, equal, difference} in the order of `files`.

    sha256 is None where a file was not made again. A JSON record is equal when its compared values
    are. difference is a sentence, '' for equal files.
    """
    entries = []
    for path in files:
        again = remade / path
        found = sha256_file(again) if again.is_file() else None
        recorded, difference = sha256_file(path), ""
        if found is None:
            difference = "was not made again"
        elif found != recorded:
            difference = describe_difference(path, again)
        entries.append(
            {
                "path": str(path), "sha256": found, "recorded_sha256": recorded,
                "equal": not difference, "difference": difference,
            }
        )  # fmt: skip
    return entries


def describe_difference(recorded: Path, remade: Path) -> str:
    """By how much two files of the same kind differ, in a sentence; '' for equal JSON records."""
    if recorded.suffix == ".json":
        return _json_difference(*(json.loads(path.read_text()) for path in (recorded, remade)))
    if recorded.suffix == ".safetensors":
        return _weights_difference(recorded, remade)
    if recorded.suffix == ".npy":
        return _frames_difference(*(np.load(path, mmap_mode="r") for path in (recorded, remade)))
    read = pd.read_csv if recorded.suffix == ".csv" else pd.read_parquet
    return _rows_difference(read(recorded), read(remade))


def _json_difference(recorded: dict, remade: dict) -> str:
    first, second = (flatten(_compared(value)) for value in (recorded, remade))
    names = [name for name in dict.fromkeys([*first, *second])]
    changed = [name for name in names if first.get(name) != second.get(name)]
    shown = [f"{n}: {first.get(n)!r}, again {second.get(n)!r}" for n in changed[:5]]
    return "; ".join(shown) + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")


def _compared(value, path: str = ""):
    if isinstance(value, list):
        return [_compared(inner, path) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _compared(inner, f"{path}{name}.")
        for name, inner in value.items()
        if name not in NOT_COMPARED and path + name not in NOT_COMPARED
    }


def _weights_difference(recorded: Path, remade: Path) -> str:
    from safetensors.numpy import load_file

    first, second = load_file(recorded), load_file(remade)
    if {n: v.shape for n, v in first.items()} != {n: v.shape for n, v in second.items()}:
        return "weights of another network"
    gaps = {n: float(np.abs(first[n] - second[n]).max(initial=0)) for n in first}
    worst = max(gaps, key=gaps.get)
    changed = sum(gap > 0 for gap in gaps.values())
    if not changed:
        return "equal weights, but other facts beside them in the file"
    return f"{changed} of {len(gaps)} tensors differ, {worst} by {gaps[worst]:.3g} at most"


def _frames_difference(recorded: np.ndarray, remade: np.ndarray) -> str:
    if recorded.shape != remade.shape:
        return f"{len(remade)} frames instead of {len(recorded)}"
    chunks = range(0, len(recorded), 10_000)
    pairs = [(recorded[i : i + 10_000], remade[i : i + 10_000]) for i in chunks]
    changed = sum(int((a != b).any(axis=(1, 2)).sum()) for a, b in pairs)
    if not changed:
        return "equal frames in a file of other bytes"
    most = max(int(np.abs(a.astype(np.int16) - b).max()) for a, b in pairs)
    return f"{changed} of {len(recorded)} frames differ, by {most} grey levels at most"


def _rows_difference(recorded: pd.DataFrame, remade: pd.DataFrame) -> str:
    if list(recorded) != list(remade):
        return f"columns {', '.join(remade)} instead of {', '.join(recorded)}"
    if len(recorded) != len(remade):
        return f"{len(remade)} rows instead of {len(recorded)}"
    columns = {}
    for name in recorded:
        texts = [frame[name].map(str) for frame in (recorded, remade)]
        if changed := int((texts[0] != texts[1]).sum()):
            columns[name] = f"{name} in {changed} of {len(recorded)} rows"
    return "; ".join(columns.values()) or "equal rows in a file of other bytes"
