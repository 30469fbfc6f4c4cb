"""Is the record of a cell whole, and has every artifact still the digest that others recorded?

The chain is followed from the crop sets to the value in the table. Nothing is run again here.
"""

from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.audit.entries import (
    NOWHERE,
    Recorded,
    UnreadableError,
    content_entry,
    file_entry,
    read_json,
    read_table,
    value_entry,
)
from visemix.audit.parameters import contradictions, expected_configuration
from visemix.audit.rerun import given_inputs
from visemix.clips.shards import INDEX, MANIFEST, REJECTS, digest
from visemix.evaluation.predictions import metrics_of
from visemix.models.word_recogniser import RecogniserConfig
from visemix.papers.cells import Cell, evaluation_folder, resolve_run, table_inputs
from visemix.report.tables import build_table
from visemix.run.atomic import sha256_bytes

RECORD = "record that cannot be followed"


def verify(cell: Cell, parameters: dict, record: dict | None, start: str) -> list[dict]:
    """Check every artifact of a cell against what the others record of it.

    record: of audit.record.read_record; start: the step from which on a re-run is to begin, which
    decides what belongs to its inputs.

    Returns entries (see audit.entries) from the crop sets to the table. Without a digest in any
    other file recorded_sha256 is None. One with the artifact RECORD ends the list early.
    """
    paper, table, _ = cell.id.split("/")
    files = [table_file(cell), *table_inputs(paper, table, parameters)]
    files += given_inputs(parameters) if start == "corpus" else []
    if missing := [path for path in files if not path.exists()]:
        return [file_entry(RECORD, path) for path in missing]
    digests = (record or {}).get("inputs", {}) | (record or {}).get("outputs", {})
    place = table_file(cell).with_suffix(".json")
    sealed = {path: (value, place) for path, value in digests.items()}
    entries = _once(_followed(cell, parameters, sealed, start))
    if not any(entry["status"] for entry in entries):
        entries.append(_table_row(cell, parameters))
    return entries


def table_file(cell: Cell) -> Path:
    """tables/<paper>/<table>.csv"""
    return Path("tables") / f"{cell.id.rpartition('/')[0]}.csv"


def _once(entries: Iterable[dict]) -> list[dict]:
    """Each file once for each place that records it: seeds share their inputs."""
    found = {}
    for entry in entries:
        key = (entry["path"], entry["recorded_sha256"], entry["recorded_in"])
        found.setdefault(key, entry)
    return list(found.values())


def _followed(cell: Cell, parameters: dict, sealed: dict, start: str) -> Iterator[dict]:
    """The entries of `_chain`, and one for the record that breaks it."""
    try:
        yield from _chain(cell, parameters, sealed, start)
    except UnreadableError as error:
        entry = file_entry(RECORD, error.path, sealed.get(str(error.path), NOWHERE))
        yield entry | {"status": error.status, "finding": str(error)}


def _chain(cell: Cell, parameters: dict, sealed: dict, start: str) -> Iterator[dict]:
    paper, table, _ = cell.id.split("/")
    seeds, corpus = parameters["seeds"], parameters["corpus"]["name"]
    trained = [Path("runs") / cell.run / f"seed-{seed}" / "training.json" for seed in seeds]
    folders = [evaluation_folder(cell.run, seed, corpus, cell.test_set) for seed in seeds]
    summaries = {path: training_record(path) for path in trained}
    metrics = {path / "metrics.json": read_json(path / "metrics.json", (1, 2)) for path in folders}
    if start != "evaluation":
        for path, summary in summaries.items():
            yield from _training_inputs(path, summary, parameters)
    for path, measured in metrics.items():
        manifest, rejects = (measured.get(f"{n}_sha256") for n in ("crops_manifest", "rejects"))
        yield from _crop_set("test crops", Path(measured["crops"]), (manifest, path), rejects)
    for path, summary in summaries.items():
        yield from _training(path, summary, cell, parameters, sealed)
    for seed_folder, (path, measured) in zip(trained, metrics.items(), strict=True):
        weights = seed_folder.with_name("model.safetensors")
        yield file_entry("weights", weights, (measured["weights_sha256"], path))
        yield from _evaluation(path, measured, parameters, sealed)
    for path in map(str, table_inputs(paper, table, parameters)):
        yield file_entry("what the table compares", Path(path), sealed.get(path, NOWHERE))
    for path in sealed:
        if path.startswith("tables/"):
            yield file_entry("table", Path(path), sealed[path])


def training_record(path: Path) -> dict:
    """training.json; what version 1 says of the network in the words of version 2.

    Raises UnreadableError.
    """
    summary = read_json(path, (1, 2))
    if summary["version"] == 1:
        summary["model"] = RecogniserConfig.from_json(summary["model"]).to_json()
    return summary


def _training_inputs(path: Path, summary: dict, parameters: dict) -> Iterator[dict]:
    mixture, digests = summary["mixture"], summary["digests"]
    for source in mixture["sources"]:
        name, recorded = f"{source['role']} training crops", source["manifest_sha256"]
        yield from _crop_set(name, Path(source["folder"]), (recorded, path))
    validation = Path("data/crops") / f"{parameters['corpus']['name']}-val"
    yield from _crop_set("validation crops", validation, (digests["validation_manifest"], path))
    yield from _viseme_labels(path, summary, parameters)
    file, recorded = Path("data/mixtures") / f"{mixture['name']}.json", (digests["mixture"], path)
    if file.is_file():
        yield content_entry("mixture", file, digest(read_json(file, (1,))), recorded)
    else:
        yield file_entry("mixture", file, recorded)


def _crop_set(
    name: str, folder: Path, recorded: Recorded, rejects: str | None = None
) -> Iterator[dict]:
    """The manifest of a crop set, its index and shards; rejects where their digest is given."""
    manifest = folder / MANIFEST
    entry = file_entry(name, manifest, recorded)
    yield entry
    if entry["status"]:
        return
    content = read_json(manifest, (1, 2))
    yield file_entry(f"{name}, index", folder / INDEX, (content["index_sha256"], manifest))
    if rejects:
        yield file_entry(f"{name}, rejects", folder / REJECTS, (rejects, recorded[1]))
    for shard in content["shards"]:
        path, digest_of_it = folder / shard["file"], (shard["sha256"], manifest)
        yield file_entry(f"{name}, shard", path, digest_of_it)


def _viseme_labels(path: Path, summary: dict, parameters: dict) -> Iterator[dict]:
    """The labels as a training took them: words in order, and zeros without a viseme branch."""
    file = Path("data/visemes") / f"{parameters['visemes']['map']}.parquet"
    digests = summary["digests"]
    if not file.is_file():
        yield file_entry("viseme labels", file, (digests["viseme_targets"], path))
        return
    table = read_table(file).sort_values("word")
    targets = np.array(table.multi_hot.to_list(), np.float32)
    if summary["model"]["viseme_branch"] == "none":
        targets = np.zeros_like(targets)
    words = sha256_bytes("\n".join(table.word).encode())
    yield content_entry("words", file, words, (digests["words"], path))
    found = sha256_bytes(targets.tobytes())
    yield content_entry("viseme labels", file, found, (digests["viseme_targets"], path))


def _training(
    path: Path, summary: dict, cell: Cell, parameters: dict, sealed: dict
) -> Iterator[dict]:
    expected = expected_configuration(cell, parameters, summary)
    expected["seed"] = int(path.parent.name.removeprefix("seed-"))
    expected["mixture"] = {"name": resolve_run(cell.run, parameters)["mixture"]}
    findings, recorded = contradictions(summary, expected), sealed.get(str(path), NOWHERE)
    yield value_entry("training record", path, findings, recorded)
    digests = summary["digests"]
    yield file_entry("weights", path.with_name("model.safetensors"), (digests["weights"], path))
    yield file_entry("history", path.with_name("history.csv"), (digests.get("history"), path))


def _evaluation(path: Path, measured: dict, parameters: dict, sealed: dict) -> Iterator[dict]:
    file = path.with_name("predictions.parquet")
    entry = file_entry("predictions", file, (measured.get("predictions_sha256"), path))
    yield entry
    if not entry["status"]:
        expected = metrics_of(read_table(file)) | {"evaluation": parameters["evaluation"]}
        findings, recorded = contradictions(measured, expected), sealed.get(str(path), NOWHERE)
        yield value_entry("metrics", path, findings, recorded)


def _table_row(cell: Cell, parameters: dict) -> dict:
    """Is the cell's row in the table what papers/*.yaml and its predictions make it?"""
    paper, table, _ = cell.id.split("/")
    path = table_file(cell)
    computed = build_table(paper, table, parameters).to_csv(index=False)
    found, expected = (_row(text, cell.id) for text in (path.read_text(), computed))
    findings = [] if found else [f"there is no row {cell.id}"]
    findings += [
        f"{name} of {cell.id} is {found[name] or 'empty'}, computed again it is {value or 'empty'}"
        for name, value in expected.items()
        if name in found and not _same(found[name], value)
    ]
    return value_entry("table row", path, findings)


def _row(text: str, cell_id: str) -> dict:
    table = pd.read_csv(StringIO(text), keep_default_na=False, dtype=str)
    return next((row for row in table.to_dict("records") if row["cell_id"] == cell_id), {})


def _same(first: str, second: str) -> bool:
    """Equal as texts, or as numbers but for the last digits, which differ between processors."""
    if first == second:
        return True
    try:
        return bool(np.isclose(float(first), float(second), rtol=1e-9, atol=1e-12))
    except ValueError:
        return False
