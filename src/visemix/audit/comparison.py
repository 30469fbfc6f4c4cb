"""The record beside what is there now: code and environment, files re-run, and predictions.

Data (shards, Parquet, CSV, weights) are compared by their bytes. JSON records are compared value by
value, but for those that must differ from run to run or repeat what is compared anyway.

Where bytes differ, each training of a cell (one a seed) is compared with its own record on the same
clips. They are equal within the tolerance when for every seed the 95% interval of the difference in
accuracy (evaluation.resolution.compare_rows: over speakers where they are known, else over clips,
Agresti & Min, Statistics in Medicine 2005) lies within -tolerance .. +tolerance. All seeds must
pass, so that no correction for their number is needed (intersection-union test, Berger,
Technometrics 1982); the mean over seeds, which the table prints, then lies within the tolerance
too. A test that finds no difference proves nothing with few clips. Therefore
"not shown to differ" is not "equal": where the interval is wider than the tolerance the answer is
'not resolved'.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.audit.rerun import remade_steps
from visemix.clips.shards import INDEX, MANIFEST, REJECTS
from visemix.config.parameters import flatten
from visemix.evaluation.resolution import compare_rows
from visemix.evaluation.statistics import LEVEL, holm
from visemix.papers.cells import Cell, evaluation_folder
from visemix.run.atomic import sha256_file
from visemix.run.gpus import device_model
from visemix.run.provenance import PACKAGE, environment
from visemix.tables.lineage import artifacts
from visemix.tables.made_from import code_in_use

# wall clock and interruptions; where and with which code; digests of files compared themselves
NOT_COMPARED = (
    "wall_seconds", "cpu_seconds", "clips_per_second", "resumed_at_step",
    "environment", "device", "drawn_on", "code", "parameters.version", "identity",
    "digests", "manifest_sha256", "crops_manifest_sha256", "rejects_sha256",
)  # fmt: skip
# what a step writes beside the file that stands for it
BESIDE = {
    "model.safetensors": ("history.csv", "model.safetensors", "training.json"),
    "predictions.parquet": ("predictions.parquet", "metrics.json"),
}
IDENTICAL, WITHIN = "identical", "within the tolerance"
DIFFERENT, UNRESOLVED = "different", "not resolved"


def changes(parameters: list[dict], code: list[dict], environment: list[dict]) -> list[dict]:
    """Entries {what, recorded, now} of whatever is other than recorded."""
    known = any(entry["recorded"] for entry in code)  # else modules were not recorded one by one
    found = [
        (f"{kind} {entry[key]}", entry["recorded"], entry["now"])
        for kind, key, entries in (
            ("parameter", "name", parameters),
            ("module", "module", code if known else []),
        )
        for entry in entries
        if entry["recorded"] != entry["now"]
    ]
    for entry in environment:
        if entry["recorded"] and entry["recorded"] != [entry["now"]]:
            found.append((entry["name"], ", ".join(map(str, entry["recorded"])), entry["now"]))
    return [dict(zip(("what", "recorded", "now"), values, strict=True)) for values in found]


def code_digests(record: dict | None, parameters: dict, start: str) -> list[dict]:
    """Entries {module, recorded, now} of the modules in use from a step on; sha256 or None.

    Recorded modules that are gone are listed too. Without a record of the table nothing is known of
    single modules: recorded is None.
    """
    now, recorded = code_in_use(start, parameters), (record or {}).get("code", {})
    gone = {name for name in recorded if not (PACKAGE / name).is_file()}
    return [
        {"module": name, "recorded": recorded.get(name), "now": now.get(name)}
        for name in sorted({*now, *gone})
    ]


def environments(cell: Cell, parameters: dict, start: str) -> list[dict]:
    """Entries {name, recorded, now}: Python, processor, libraries, threads and device.

    recorded is a list of the values of all seeds' trainings and evaluations, without repeats; of
    the evaluations alone where only these are re-run. What a machine without a GPU has not,
    such as CUDA, is "none"; what older records do not tell is not in the list.
    """
    facts = []
    for seed in parameters["seeds"]:
        trained = Path("runs") / cell.own_run / f"seed-{seed}" / "training.json"
        folder = evaluation_folder(cell.own_run, seed, parameters["corpus"]["name"], cell.test_set)
        facts += [] if start == "evaluation" else [_facts(trained, "training")]
        facts.append(_facts(folder / "metrics.json", "evaluation"))
    now = _named(flatten({"environment": environment(), "device": device_model()}))
    now |= {f"{step}.threads": parameters[step]["threads"] for step in ("training", "evaluation")}
    entries = []
    for name, value in now.items():
        recorded = list(dict.fromkeys(fact[name] for fact in facts if name in fact))
        entries.append({"name": name, "recorded": recorded, "now": value})
    return [entry for entry in entries if entry["recorded"] or entry["name"] != "training.threads"]


def _facts(path: Path, step: str) -> dict:
    """Environment, device and threads in a record; an evaluation of version 1 knows none."""
    content = json.loads(path.read_text())
    threads = content.get("threads", content.get("evaluation", {}).get("threads"))
    found = _named(flatten({"environment": content.get("environment", {})}))
    known = {"device": content.get("device"), f"{step}.threads": threads}
    return found | {name: value for name, value in known.items() if value is not None}


def _named(facts: dict) -> dict:
    return {name: "none" if value is None else value for name, value in facts.items()}


def compared_files(cell: Cell, parameters: dict, start: str) -> list[Path]:
    """Files of the record that are re-run, from the corpus to the predictions."""
    steps = remade_steps(cell, parameters, start)
    made = artifacts(steps) if start == "corpus" else [step.writes for step in steps]
    return [file for path in made for file in _files_of(Path(path))]


def _files_of(path: Path) -> list[Path]:
    names: Sequence[str] = BESIDE.get(path.name, (path.name,))
    if path.name == MANIFEST:
        shards = json.loads(path.read_text())["shards"]
        names = [*(shard["file"] for shard in shards), INDEX, REJECTS, MANIFEST]
    return [path.with_name(name) for name in names]


def compare_files(files: list[Path], remade: Path) -> list[dict]:
    """Entries {path, sha256, recorded_sha256, equal, difference} in the order of `files`.

    sha256 is None where a file was not re-run. A JSON record is equal when its compared values
    are. difference is a sentence, '' for equal files.
    """
    entries = []
    for path in files:
        again = remade / path
        found = sha256_file(again) if again.is_file() else None
        recorded, difference = sha256_file(path), ""
        if found is None:
            difference = "was not re-run"
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
    worst = max(gaps, key=gaps.__getitem__)
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


def compare_predictions(
    recorded: list[pd.DataFrame], remade: list[pd.DataFrame], seeds: list[int], tolerance: float
) -> dict:
    """Compare prediction tables, one a seed, of the record and of the run that was re-run.

    Args:
        tolerance: percentage points of accuracy.

    Returns:
        n (clips); difference, the mean over seeds of remade minus recorded accuracy, and low..high,
        the range that holds every seed's interval, in percentage points; p, the smallest over the
        seeds after Holm's correction; clusters, the speakers (n where they are not known: then p is
        McNemar's, else of a t-test over them); outcome, IDENTICAL (every
        value of every prediction) or one of the others above; seeds,
        entries {seed, difference, low, high, p, only_recorded, only_remade}.

    Raises:
        ValueError: the tables do not hold the same clips.
    """
    rows = []
    for seed, before, after in zip(seeds, recorded, remade, strict=True):
        result = compare_rows([before], [after], (math.nan, 0))
        rows.append(
            {
                "seed": seed,
                "difference": 100 * result["difference"],
                "low": 100 * result["low"],
                "high": 100 * result["high"],
                "p": result["p"],
                "only_recorded": result["only_first"],
                "only_remade": result["only_second"],
            }
        )
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    p = min(holm([row["p"] for row in rows]))
    outcome = DIFFERENT if p < LEVEL else UNRESOLVED
    if -tolerance <= low and high <= tolerance:
        outcome = WITHIN  # a difference may be certain and yet as small as was agreed
    if all(map(pd.DataFrame.equals, recorded, remade)):
        outcome = IDENTICAL
    return {
        "n": len(recorded[0]),
        "difference": sum(row["difference"] for row in rows) / len(rows),
        "low": low,
        "high": high,
        "p": p,
        "clusters": result["clusters"],
        "outcome": outcome,
        "seeds": rows,
    }
