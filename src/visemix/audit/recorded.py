"""What is audited and what its record says: the cell, its parameters, and digests on the way to it.

The chain of digests is followed from the crop sets to the value in the table: is the record whole,
and has every artifact still the digest that others recorded? Nothing is run again here.
"""

import json
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from visemix.clips.shards import INDEX, MANIFEST, REJECTS, digest
from visemix.config.model import Recogniser, recogniser_of
from visemix.config.parameters import flatten, merge, present_names, read_sections
from visemix.config.training import Training
from visemix.evaluation.predictions import metrics_of
from visemix.papers.cells import (
    TEST_SETS,
    Cell,
    evaluation_folder,
    model_of_run,
    resolve_run,
    table_inputs,
    training_of_run,
)
from visemix.run.atomic import sha256_bytes, sha256_file
from visemix.tables.lineage import given_inputs, table_file
from visemix.tables.made_from import VERSION, plain
from visemix.tables.paper_table import build_table
from visemix.tables.results import Results

MISSING, CHANGED = "missing", "changed"
RECORD = "record that cannot be followed"
# (sha256, file that records it); (None, "") where nothing does
Recorded = tuple[str | None, Path | str]
NOWHERE: Recorded = (None, "")
# Where things lie, how they are called and how work is cut: no part of any result. What lies at
# these places is checked by its digest.
NOT_DECISIVE = (
    "corpus.root", "crops.detector_weights", "visemes.pronunciations",
    "training.checkpoint_seconds", "run.name", "run.changed",
)  # fmt: skip


class AuditError(RuntimeError):
    """An audit could not be carried out; the message says why and what to do."""


class UnreadableError(ValueError):
    """A record that cannot be followed any further; `status` is that of its entry."""

    def __init__(self, path: Path, why: str, status: str):
        super().__init__(f"{path}: {why}")
        self.path, self.status = path, status


def read_config(changes: list[str], path: Path = Path("params.yaml")) -> dict:
    """params.yaml with changes as Snakemake's --config takes them, e.g. 'scale=test'.

    Raises AuditError without such a file, or for a change that is not KEY=VALUE; ParameterError for
    a file that is not YAML.
    """
    if not path.is_file():
        raise AuditError(f"there is no {path} here; audit in the folder that holds the Snakefile")
    given = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise AuditError(f"--config {change!r} is not KEY=VALUE")
        try:
            given[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise AuditError(f"--config {change!r}: the value is not YAML") from None
    return merge(read_sections(path), given)


def why_not_ours(cell: Cell) -> str:
    """Why a cell has no run that could be re-run; '' where it has one."""
    if cell.run is None and cell.quoted_from:
        return f"no run of ours is behind it: the paper quotes the value from {cell.quoted_from}"
    if cell.run is None:
        return "no run of ours is behind it yet: only its published value is known"
    if cell.test_set not in TEST_SETS:
        return f"not yet run: no rule makes the test set {cell.test_set!r}"
    return ""


def read_record(path: str | Path) -> dict | None:
    """The record of a table; None where it was made before tables had one.

    Raises AuditError for another version.
    """
    path = Path(path)
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    if record.get("version") != VERSION:
        raise AuditError(
            f"{path} is of version {record.get('version')}; this code reads version {VERSION}: "
            "make the table again, or audit with the code that made it"
        )
    return record


def decisive_parameters(cell: Cell, parameters: dict, run: dict) -> dict:
    """{name: value} of all parameters that have a part in a cell, e.g. 'training.steps'.

    parameters: all of them, resolved; run: of `papers.cells.resolve_run`, whose values are named
    'run.lambda' and so on.
    """
    sections = ["corpus", "crops", "visemes", "mixing", "model", "training", "evaluation"]
    if cell.test_set == "pose":
        sections.append("pose")
    chosen = {name: parameters[name] for name in sections}
    if not run["synthetic"]:  # equal updates and equal epochs of the real clips are the same
        chosen["training"] = {k: v for k, v in parameters["training"].items() if k != "equal"}
    else:
        chosen["synthesis"] = _synthesis(parameters["synthesis"])
        chosen["generators"] = _generator(parameters)
    found = flatten({"scale": parameters["scale"], "seeds": parameters["seeds"], **chosen})
    found = present_names(found | flatten({"run": run}))
    return plain({name: value for name, value in found.items() if name not in NOT_DECISIVE})


def _synthesis(synthesis: dict) -> dict:
    """Without the places of the portraits; older records name one source beside one place."""
    sources = synthesis["portraits"]
    if isinstance(sources, str):
        sources = [{"source": synthesis["portrait_source"], "images_per_person": 1}]
    kept = [{key: value for key, value in one.items() if key != "root"} for one in sources]
    rest = {key: value for key, value in synthesis.items() if key != "portrait_source"}
    return rest | {"portraits": kept}


def _generator(parameters: dict) -> dict:
    """What a generator that is trained is trained with; nothing for the others."""
    family = parameters["synthesis"]["generator"].partition("-")[0]
    if family not in parameters["generators"]:
        return {}
    names = ("seed", "threads", "lip_reader", family)
    chosen = {name: parameters["generators"][name] for name in names}
    decisive = {k: v for k, v in chosen[family].items() if k != "checkpoint_seconds"}
    return chosen | {family: decisive}


def compare_parameters(cell: Cell, parameters: dict, record: dict | None) -> list[dict]:
    """Entries {name, recorded, now} of all decisive parameters; without a record, recorded = now.

    A parameter that one side does not know is None there.
    """
    now = decisive_parameters(cell, parameters, resolve_run(cell.own_run, parameters))
    recorded = now
    if record is not None:
        recorded = decisive_parameters(cell, record["parameters"], record["runs"][cell.own_run])
    return [
        {"name": name, "recorded": recorded.get(name), "now": now.get(name)}
        for name in dict.fromkeys([*now, *recorded])
    ]


def contradictions(found: dict, expected: dict) -> list[str]:
    """'training.steps is 7 instead of 6' for all values that two nested dictionaries both have."""
    found, expected = (present_names(flatten(plain(values))) for values in (found, expected))
    return [
        f"{name} is {found[name]!r} instead of {value!r}"
        for name, value in expected.items()
        if name in found and found[name] != value
    ]


def expected_configuration(cell: Cell, parameters: dict, summary: dict) -> dict:
    """What training.json must say of network and training; `summary` is its content."""
    from visemix.training.outputs import decisive  # torch
    from visemix.training.words import equalised

    sizes = {"n_words": len(summary["words"]), "n_visemes": summary["model"]["n_visemes"]}
    model = Recogniser(**model_of_run(cell.own_run, parameters), **sizes)
    training = Training(**training_of_run(cell.own_run, parameters))
    settings = equalised(training, summary["mixture"]).model_dump()
    return {"model": model.to_json(), "training": decisive(settings)}


def verify(cell: Cell, parameters: dict, record: dict | None, start: str) -> list[dict]:
    """Check every artifact of a cell against what the others record of it.

    record: of read_record; start: the step from which on a re-run is to begin, which
    decides what belongs to its inputs.

    Returns entries (see file_entry) from the crop sets to the table. Without a digest in any
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


def _once(entries: Iterable[dict]) -> list[dict]:
    """Each file once for each place that records it: seeds share their inputs."""
    found: dict[tuple, dict] = {}
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
    trained = [Path("runs") / cell.own_run / f"seed-{seed}" / "training.json" for seed in seeds]
    folders = [evaluation_folder(cell.own_run, seed, corpus, cell.test_set) for seed in seeds]
    summaries = {path: training_record(path) for path in trained}
    metrics = {
        path / "metrics.json": read_json(path / "metrics.json", (1, 2, 3)) for path in folders
    }
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
    for file in map(str, table_inputs(paper, table, parameters)):
        yield file_entry("what the table compares", Path(file), sealed.get(file, NOWHERE))
    for file in sealed:
        if file.startswith("tables/"):
            yield file_entry("table", Path(file), sealed[file])


def training_record(path: Path) -> dict:
    """training.json; what older versions say of network and training in the words of version 3.

    Raises UnreadableError.
    """
    summary = read_json(path, (1, 2, 3))
    if summary["version"] == 3:
        return summary
    try:
        summary["model"] = recogniser_of(summary["model"]).to_json()
    except (KeyError, TypeError, ValueError) as error:  # pydantic's is one as well
        why = f"its model is no network any more ({' '.join(str(error).split())})"
        raise UnreadableError(path, why, CHANGED) from None
    strengths = summary.get("training", {}).pop("augmentation", {})
    if strengths:
        summary["training"] |= strengths | {"colour_jitter": strengths["brightness"]}
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
    expected["mixture"] = {"name": resolve_run(cell.own_run, parameters)["mixture"]}
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
    computed = build_table(paper, table, Results(parameters)).to_csv(index=False)
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


def read_json(path: Path, versions: tuple[int, ...]) -> dict:
    """A JSON record of a known version. Raises UnreadableError."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise UnreadableError(path, f"it is no JSON any more ({error})", CHANGED) from None
    if content.get("version") not in versions:
        why = f"version {content.get('version')!r}; this code reads {', '.join(map(str, versions))}"
        raise UnreadableError(path, why, MISSING)
    return content


def read_table(path: Path) -> pd.DataFrame:
    """A Parquet file. Raises UnreadableError."""
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        why = f"it is no Parquet file any more ({error})"
        raise UnreadableError(path, why, CHANGED) from None


def file_entry(artifact: str, path: Path, recorded: Recorded = NOWHERE) -> dict:
    """Entry {artifact, path, sha256, recorded_sha256, recorded_in, status, finding} of a file."""
    digest, place = recorded
    found = sha256_file(path) if path.is_file() else None
    entry = {
        "artifact": artifact, "path": str(path), "sha256": found, "recorded_sha256": digest,
        "recorded_in": str(place) if digest else "", "status": "", "finding": "",
    }  # fmt: skip
    if found is None:
        return entry | {"status": MISSING, "finding": f"{path} is missing"}
    if digest and found != digest:
        finding = f"{path}: its sha256 is {_short(found)}, {place} says {_short(digest)}"
        return entry | {"status": CHANGED, "finding": finding}
    return entry


def _short(digest: str) -> str:
    return f"{digest[:16]}..."


def content_entry(artifact: str, path: Path, found: str, recorded: tuple[str, Path | str]) -> dict:
    """The same for a digest of what a file says, whatever its bytes; `found` is that digest."""
    digest, place = recorded
    entry = file_entry(artifact, path)
    entry |= {"sha256": found, "recorded_sha256": digest, "recorded_in": str(place)}
    if found != digest:
        finding = f"{path}: the sha256 of its content is {_short(found)}, "
        finding += f"{place} says {_short(digest)}"
        entry |= {"status": CHANGED, "finding": finding}
    return entry


def value_entry(artifact: str, path: Path, findings: list[str], recorded: Recorded = NOWHERE):
    """The same for a file whose values contradict others, as `findings` say, if there are any."""
    entry = file_entry(artifact, path, recorded)
    if findings:
        entry |= {"status": CHANGED, "finding": f"{path}: {'; '.join(findings)}"}
    return entry
