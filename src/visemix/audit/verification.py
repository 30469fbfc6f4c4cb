"""Is the record of a cell whole, and has every artifact still the digest that others recorded?

The chain is followed from the crop sets to the value in the table. Nothing is run again here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.audit.parameters import contradictions, expected_configuration
from visemix.clips.shards import INDEX, MANIFEST, REJECTS, digest
from visemix.evaluation.predictions import metrics_of
from visemix.papers.cells import Cell, evaluation_folder, resolve_run, table_inputs
from visemix.report.tables import build_table
from visemix.run.atomic import sha256_bytes, sha256_file

MISSING, CHANGED, UNREADABLE = "missing", "changed", "unreadable"


def verify(cell: Cell, parameters: dict, record: dict | None, start: str) -> list[dict]:
    """Check every artifact of a cell against what the others record of it.

    record: of audit.record.read_record; start: the step from which on a re-run is to begin, which
    decides what belongs to its inputs.

    Returns entries {artifact, path, sha256, recorded_sha256, recorded_in, status, finding}, from
    the crop sets to the table. status is '', 'changed', 'unreadable' or 'missing', finding a
    sentence that says what is wrong. recorded_sha256 is None where no other file holds a digest of
    this one.
    """
    files = [Path("tables") / f"{cell.id.rpartition('/')[0]}.csv", *_made(cell, parameters)]
    entries = [_entry("record", path, None, "") for path in files if not path.is_file()]
    if entries:
        return entries
    sealed = (record or {}).get("inputs", {}) | (record or {}).get("outputs", {})
    entries = _without_repeats(_chain(cell, parameters, sealed, start))
    if not any(entry["status"] for entry in entries):
        entries.append(_table_row(cell, parameters))
    return entries


def _made(cell: Cell, parameters: dict) -> list[Path]:
    paper, table, _ = cell.id.split("/")
    return table_inputs(paper, table, parameters)


def _without_repeats(entries: Iterator[dict]) -> list[dict]:
    """Each file once by digest and source: seeds share their inputs."""
    return list({tuple(map(str, entry.values())): entry for entry in entries}.values())


def _entry(artifact: str, path: Path, recorded: str | None, recorded_in) -> dict:
    found = sha256_file(path) if path.is_file() else None
    entry = {
        "artifact": artifact, "path": str(path), "sha256": found, "recorded_sha256": recorded,
        "recorded_in": str(recorded_in) if recorded else "", "status": "", "finding": "",
    }  # fmt: skip
    if found is None:
        return entry | {"status": MISSING, "finding": f"{path} is missing"}
    if recorded and found != recorded:
        finding = f"{path}: its sha256 is {found}, {recorded_in} says {recorded}"
        return entry | {"status": CHANGED, "finding": finding}
    return entry


def _content(artifact: str, path: Path, found: str, recorded: str, recorded_in) -> dict:
    """An entry whose digest is one of the content, not of the file."""
    entry = _entry(artifact, path, None, "") | {
        "sha256": found, "recorded_sha256": recorded, "recorded_in": str(recorded_in),
    }  # fmt: skip
    if found != recorded:
        finding = f"{path}: its content has the sha256 {found}, {recorded_in} says {recorded}"
        entry |= {"status": CHANGED, "finding": finding}
    return entry


def _contradiction(artifact: str, path: Path, findings: list[str], sealed: dict) -> dict:
    entry = _entry(artifact, path, sealed.get(str(path)), "the record of the table")
    if findings:
        entry |= {"status": CHANGED, "finding": f"{path}: {'; '.join(findings)}"}
    return entry


def _chain(cell: Cell, parameters: dict, sealed: dict, start: str) -> Iterator[dict]:
    corpus = parameters["corpus"]["name"]
    summaries, metrics = {}, {}
    for seed in parameters["seeds"]:
        folder = evaluation_folder(cell.run, seed, corpus, cell.test_set)
        for kept, path in (
            (summaries, Path("runs") / cell.run / f"seed-{seed}" / "training.json"),
            (metrics, folder / "metrics.json"),
        ):
            try:
                kept[path] = json.loads(path.read_text())
            except ValueError as error:
                entry = _entry("record", path, sealed.get(str(path)), "the record of the table")
                finding = f"{path} was changed, it is no JSON any more ({error})"
                yield entry | {"status": UNREADABLE, "finding": finding}
                return
    for path, summary in summaries.items():
        if start != "evaluation":
            yield from _training_inputs(path, summary, parameters)
    for path, measured in metrics.items():
        yield from _crop_set(
            "test crops", Path(measured["crops"]), measured.get("crops_manifest_sha256"), path,
            rejects=measured.get("rejects_sha256"),
        )  # fmt: skip
    for path, summary in summaries.items():
        yield from _training(path, summary, cell, parameters, sealed)
    for path, measured in metrics.items():
        weights = Path("runs") / cell.run / path.parts[2] / "model.safetensors"
        yield _entry("weights", weights, measured["weights_sha256"], path)
        yield from _evaluation(path, measured, parameters, sealed)
    for path in map(str, _made(cell, parameters)):
        yield _entry("evaluations that the table compares", Path(path), sealed.get(path), "table")
    for path in [p for p in sealed if p.startswith("tables/")]:
        yield _entry("table", Path(path), sealed[path], "the record of the table")


def _training_inputs(path: Path, summary: dict, parameters: dict) -> Iterator[dict]:
    mixture, digests = summary["mixture"], summary["digests"]
    for source in mixture["sources"]:
        name = f"{source['role']} training crops"
        yield from _crop_set(name, Path(source["folder"]), source["manifest_sha256"], path)
    validation = Path("data/crops") / f"{parameters['corpus']['name']}-val"
    yield from _crop_set("validation crops", validation, digests["validation_manifest"], path)
    yield from _viseme_labels(path, summary, parameters)
    file = Path("data/mixtures") / f"{mixture['name']}.json"
    if file.is_file():
        yield _content(
            "mixture", file, digest(json.loads(file.read_text())), digests["mixture"], path
        )
    else:
        yield _entry("mixture", file, digests["mixture"], path)


def _crop_set(
    name: str, folder: Path, recorded: str | None, recorded_in: Path, rejects: str | None = None
) -> Iterator[dict]:
    """The manifest of a crop set, its index, its rejects and all shards."""
    manifest = folder / MANIFEST
    entry = _entry(name, manifest, recorded, recorded_in)
    yield entry
    if entry["status"]:
        return
    content = json.loads(manifest.read_text())
    yield _entry(f"{name}, index", folder / INDEX, content["index_sha256"], manifest)
    if rejects:
        yield _entry(f"{name}, rejects", folder / REJECTS, rejects, recorded_in)
    for shard in content["shards"]:
        yield _entry(f"{name}, shard", folder / shard["file"], shard["sha256"], manifest)


def _viseme_labels(path: Path, summary: dict, parameters: dict) -> Iterator[dict]:
    """The labels as a training took them: words in order, and zeros without a viseme branch."""
    file = Path("data/visemes") / f"{parameters['visemes']['map']}.parquet"
    if not file.is_file():
        yield _entry("viseme labels", file, summary["digests"]["viseme_targets"], path)
        return
    table = pd.read_parquet(file).sort_values("word")
    targets = np.array(table.multi_hot.to_list(), np.float32)
    if not summary["model"]["viseme_branch"]:
        targets = np.zeros_like(targets)
    words = sha256_bytes("\n".join(table.word).encode())
    yield _content("words", file, words, summary["digests"]["words"], path)
    found = sha256_bytes(targets.tobytes())
    yield _content("viseme labels", file, found, summary["digests"]["viseme_targets"], path)


def _training(
    path: Path, summary: dict, cell: Cell, parameters: dict, sealed: dict
) -> Iterator[dict]:
    expected = expected_configuration(cell, parameters, summary, summary["model"]["n_visemes"])
    expected["seed"] = int(path.parent.name.removeprefix("seed-"))
    expected["mixture"] = {"name": resolve_run(cell.run, parameters)["mixture"]}
    expected["training"].pop("checkpoint_seconds")
    yield _contradiction("training record", path, contradictions(summary, expected), sealed)
    digests = summary["digests"]
    yield _entry("weights", path.with_name("model.safetensors"), digests["weights"], path)
    yield _entry("history", path.with_name("history.csv"), digests.get("history"), path)


def _evaluation(path: Path, measured: dict, parameters: dict, sealed: dict) -> Iterator[dict]:
    file = path.with_name("predictions.parquet")
    recorded, source = measured.get("predictions_sha256"), path
    if recorded is None:
        recorded, source = sealed.get(str(file)), "the record of the table"
    entry = _entry("predictions", file, recorded, source)
    yield entry
    if not entry["status"]:
        expected = metrics_of(pd.read_parquet(file)) | {"evaluation": parameters["evaluation"]}
        yield _contradiction("metrics", path, contradictions(measured, expected), sealed)


def _table_row(cell: Cell, parameters: dict) -> dict:
    """Is the cell's row in the table what its predictions make it?"""
    paper, table, _ = cell.id.split("/")
    path = Path("tables") / paper / f"{table}.csv"
    computed = build_table(paper, table, parameters).to_csv(index=False)
    rows = [_row(text, cell.id) for text in (path.read_text(), computed)]
    entry = _entry("table row", path, None, "")
    if not rows[0]:
        return entry | {"status": CHANGED, "finding": f"{path}: there is no row {cell.id}"}
    findings = [
        f"{name} of {cell.id} is {rows[0][name] or 'empty'}, its predictions make it {value}"
        for name, value in rows[1].items()
        if name in rows[0] and not _same(rows[0][name], value)
    ]
    if findings:
        entry |= {"status": CHANGED, "finding": f"{path}: {'; '.join(findings)}"}
    return entry


def _row(text: str, cell_id: str) -> dict:
    from io import StringIO

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
