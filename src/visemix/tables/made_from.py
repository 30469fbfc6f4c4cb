"""The record of a table: the digests, parameters and code from which it was made.

`tables/<paper>/<table>.json` is the last link of a chain that an audit follows back: it holds the
sha256 of the evaluations and training records, these hold those of weights, predictions, mixtures
and crop sets, and a crop set holds those of its shards.
"""

import math
from pathlib import Path

from visemix.config.generator_names import GENERATORS
from visemix.papers.cells import resolve_run, table_inputs, table_runs
from visemix.run.atomic import sha256_bytes, sha256_file, write_json
from visemix.run.provenance import PACKAGE, environment, module_digests

VERSION = 1
SCRIPTS = PACKAGE.parents[1] / "workflow_scripts"
# Scripts of the steps that have a part in a number, each under the latest start that runs it.
STEPS = {
    "evaluation": ("evaluate", "table"),
    "training": ("mixture", "train"),
    "corpus": (
        "miniature_corpus", "manifest", "crops", "pose_manifest", "pose_crops", "visemes", "sounds",
        "train_generator", "pairs", "synthesis",
    ),
}  # fmt: skip


def write_record(
    path: str | Path, paper: str, table: str, parameters: dict, made: list[str]
) -> None:
    """Write the record of a table, of which `made` are the files; `parameters` are all resolved."""
    runs = {run: resolve_run(run, parameters) for run in table_runs(paper, table)}
    record = {
        "version": VERSION,
        "paper": paper,
        "table": table,
        "parameters": plain(parameters),
        "runs": plain(runs),
        "code": code_in_use("corpus", parameters),
        "environment": environment(),
        "inputs": {str(p): sha256_file(p) for p in table_inputs(paper, table, parameters)},
        "outputs": {str(p): sha256_file(p) for p in made},
    }
    write_json(path, record)


def code_in_use(start: str, parameters: dict) -> dict[str, str]:
    """{file: sha256} of the modules that have a part in a cell re-run from `start` on."""
    starts = list(STEPS)[: list(STEPS).index(start) + 1]
    scripts = [SCRIPTS / f"{name}.py" for key in starts for name in STEPS[key]]
    generator = GENERATORS[parameters["synthesis"]["generator"]]
    return module_digests(*scripts, *([generator] if start == "corpus" else []))


def record_digest(paper: str, table: str) -> str:
    """sha256 of a table and its record: another record is another audit."""
    files = [Path("tables") / paper / f"{table}.{form}" for form in ("csv", "json")]
    return sha256_bytes("".join(sha256_file(f) for f in files if f.is_file()).encode())


def plain(value):
    """Values as JSON has them: tuples as lists, infinity as '.inf' (as in params.yaml)."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value == math.inf:
        return ".inf"
    return value if isinstance(value, str | int | float | None) else str(value)
