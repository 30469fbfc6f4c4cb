"""Mixing real and synthetic clips by an index: nothing is copied, on disk or in memory.

A mixture follows the mixing ratio of the papers,

    beta = N |D_d| / (N |D_d| + |D_g|),

with D_d the real clips, D_g the synthetic clips and N how often an epoch repeats the real clips.
N may be fractional: floor(N) whole copies and, for the rest, a seeded subset. N = 0 is synthetic
clips only; N = infinity is real clips only, each of them once an epoch.
"""

import json
import math
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as parquet

from visemix.run.atomic import sha256_file, write_json

VERSION = 1
EVALUATION = "evaluation"  # `role` in the manifest of a crop set that nothing may be trained on


def mixing_ratio(repeats: float, n_real: int, n_synthetic: int) -> float:
    """Proportion of real clips, beta = N |D_d| / (N |D_d| + |D_g|), in [0, 1].

    Raises ValueError when nothing would be drawn, or for a negative or undefined N.
    """
    if math.isnan(repeats) or repeats < 0:
        raise ValueError(f"repeats is {repeats}; it must be a number from 0 to infinity")
    if math.isinf(repeats):
        drawn, beta = float(n_real), 1.0
    else:
        drawn = repeats * n_real + n_synthetic
        beta = repeats * n_real / drawn if drawn else 0.0
    if not drawn:
        raise ValueError(
            f"a mixture of {n_real} real clips, repeated {repeats} times, and {n_synthetic} "
            "synthetic clips is empty; raise `repeats` or give a set that holds clips"
        )
    return beta


def make_mixture(
    name: str,
    real_folder: str | Path,
    synthetic_folder: str | Path | None,
    repeats: float,
    seed: int,
    redraw: Literal["fixed", "epoch"] = "fixed",
) -> dict:
    """Describe a mixture of the crop sets in two folders; only accepted clips count.

    repeats: N, from 0 to infinity; without a synthetic set it must be infinity. seed: of the subset
    that a fractional N needs, which is kept in all epochs or drawn anew in each (`redraw`).

    Returns {version, name, sources: [{folder, role, clips, repeats, manifest_sha256}], beta, seed,
    redraw}. Infinity is the string "inf", so that the file is plain JSON. A source with repeats 0
    is not drawn from. Raises FileNotFoundError where a folder is not a finished crop set,
    ValueError for a parameter out of range, an empty mixture, or a set made for evaluation.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must not be negative")
    if synthetic_folder is None and not math.isinf(repeats):
        raise ValueError(
            f"repeats is {repeats}, but there is no synthetic set to mix with; "
            "real clips only are written as repeats = infinity"
        )
    sources = [_source(real_folder, "real", repeats)]
    if synthetic_folder is not None:
        sources.append(_source(synthetic_folder, "synthetic", 0 if math.isinf(repeats) else 1))
    beta = mixing_ratio(repeats, sources[0]["clips"], sum(s["clips"] for s in sources[1:]))
    facts = {"version": VERSION, "name": name, "sources": sources}
    return facts | {"beta": beta, "seed": seed, "redraw": redraw}


def make_sampled_mixture(
    name: str,
    real_folder: str | Path,
    synthetic_folder: str | Path,
    synthetic: float,
    all_proportions: list[float],
    seed: int,
) -> dict:
    """Describe a mixture of fixed size with the proportion `synthetic` of synthetic clips.

    No clip is drawn twice. The size is the largest at which that holds for `all_proportions`, so
    that mixtures of them can be compared; another `seed` draws other clips. Proportions lie in
    (0, 1). Returns what `make_mixture` does.
    """
    if not all(0 < value < 1 for value in (synthetic, *all_proportions)):
        raise ValueError(f"proportions {synthetic}, {all_proportions} must lie between 0 and 1")
    if synthetic not in all_proportions:
        raise ValueError(f"proportion {synthetic} is none of {all_proportions}")
    sources = [_source(real_folder, "real", 1), _source(synthetic_folder, "synthetic", 1)]
    n_real, n_synthetic = (source["clips"] for source in sources)
    size = math.floor(min(n_real / (1 - min(all_proportions)), n_synthetic / max(all_proportions)))
    drawn = [size - round(synthetic * size), round(synthetic * size)]
    for source, count in zip(sources, drawn, strict=True):
        if not 0 < count <= source["clips"]:
            raise ValueError(
                f"{name}: {count} of {source['clips']} {source['role']} clips cannot be drawn; "
                "make more clips, or choose other proportions"
            )
        source["repeats"] = count / source["clips"]
    facts = {"version": VERSION, "name": name, "sources": sources}
    return facts | {"beta": drawn[0] / size, "seed": seed, "redraw": "fixed"}


def _source(folder: str | Path, role: str, repeats: float) -> dict:
    folder = Path(folder)
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise FileNotFoundError(
            f"{manifest} does not exist: {folder} is not a finished crop set; make the crops first"
        )
    _refuse_evaluation(manifest)
    repeats = float(repeats)
    return {
        "folder": str(folder),
        "role": role,
        "clips": parquet.read_metadata(folder / "index.parquet").num_rows,
        "repeats": "inf" if math.isinf(repeats) else repeats,
        "manifest_sha256": sha256_file(manifest),
    }


def _refuse_evaluation(manifest: Path) -> None:
    parameters = json.loads(manifest.read_text()).get("parameters", {})
    if parameters.get("role") == EVALUATION or manifest.parent.name.endswith(f"-{EVALUATION}"):
        raise ValueError(
            f"{manifest.parent} is an evaluation set, with sounds of the {parameters.get('split')} "
            "split: nothing may be trained on it; mix the generator's training set"
        )


def write_mixture(path: str | Path, mixture: dict) -> None:
    """Write a mixture as JSON, atomically."""
    write_json(path, mixture)


def read_mixture(path: str | Path) -> dict:
    """Read a mixture that `write_mixture` wrote; ValueError for another version."""
    mixture = json.loads(Path(path).read_text())
    if mixture.get("version") != VERSION:
        raise ValueError(
            f"{path} is a mixture of version {mixture.get('version')}; this code reads version "
            f"{VERSION}: re-run the mixture"
        )
    return mixture


def check_sources(mixture: dict) -> None:
    """Raise ValueError when a crop set changed after the mixture was made, or is for evaluation."""
    for source in mixture["sources"]:
        if source["repeats"] == 0:
            continue
        manifest = Path(source["folder"]) / "manifest.json"
        if sha256_file(manifest) != source["manifest_sha256"]:
            raise ValueError(
                f"{manifest} changed after mixture {mixture['name']!r} was made; re-run the mixture"
            )
        _refuse_evaluation(manifest)


def expand_mixture(mixture: dict, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The entries of one epoch, unshuffled, as many in every epoch.

    Two arrays: uint8 index into `mixture["sources"]`, int32 row of that source's index.parquet.
    """
    redrawn = epoch if mixture["redraw"] == "epoch" else 0
    rows = []
    for number, source in enumerate(mixture["sources"]):
        rng = np.random.default_rng([mixture["seed"], number, redrawn])
        rows.append(_repeated_rows(source["clips"], float(source["repeats"]), rng))
    numbers = np.repeat(np.arange(len(rows), dtype=np.uint8), [len(part) for part in rows])
    return numbers, np.concatenate(rows)


def _repeated_rows(clips: int, repeats: float, rng: np.random.Generator) -> np.ndarray:
    """floor(repeats) copies of all rows, then a sorted random subset for the fraction."""
    rows = np.arange(clips, dtype=np.int32)
    if math.isinf(repeats):
        return rows
    copies = math.floor(repeats)
    rest = round((repeats - copies) * clips)
    subset = np.sort(rng.permutation(rows)[:rest]) if rest else rows[:0]
    return np.concatenate([np.tile(rows, copies), subset])
