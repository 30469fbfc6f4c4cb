"""Where the number of a cell comes from: the artifacts on its way, the steps, and their digests."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from visemix.papers.cells import Cell, evaluation_folder, mixture_file
from visemix.run.atomic import sha256_file


class Step(NamedTuple):
    """A step of the workflow: the rule's name, and the artifacts it reads and writes (files)."""

    rule: str
    reads: tuple[str, ...]
    writes: str


def steps_of(cell: Cell, table: str, parameters: dict) -> list[Step]:
    """The steps between the corpus' manifest and the table of a measured cell, first seed.

    table: file of the table. The clips a run learnt from are taken from its training.json.
    """
    corpus, seed = parameters["corpus"]["name"], parameters["seeds"][0]
    record = read_record(cell.run, seed)
    manifest = f"data/manifests/{corpus}.parquet"
    crops = {name: f"data/crops/{corpus}-{name}/manifest.json" for name in ("val", cell.test_set)}
    steps = [Step("crops", (manifest,), crops["val"])]
    if cell.test_set == "pose":
        turned = f"data/manifests/{corpus}-pose.parquet"
        steps += [Step("pose_manifest", (manifest,), turned)]
        steps += [Step("pose_crops", (turned,), crops["pose"])]
    else:
        steps += [Step("crops", (manifest,), crops[cell.test_set])]
    sources = []
    for source in record["mixture"]["sources"]:
        learnt = Path(source["folder"])
        sources.append(f"{learnt}/manifest.json")
        if source["role"] == "synthetic":
            pairs = f"data/synthesis/{learnt.name}/pairs.parquet"
            steps += [Step("pairs", (manifest,), pairs), Step("synthesis", (pairs,), sources[-1])]
        else:
            steps += [Step("crops", (manifest,), sources[-1])]
    mixture = str(mixture_file(cell.run, parameters))
    rule = "mixture_synthetic" if len(sources) > 1 else "mixture_real"
    visemes = f"data/visemes/{parameters['visemes']['map']}.parquet"
    weights = f"runs/{cell.run}/seed-{seed}/model.safetensors"
    evaluation = evaluation_folder(cell.run, seed, corpus, cell.test_set)
    return [
        *steps,
        Step("visemes", (manifest,), visemes),
        Step(rule, tuple(sources), mixture),
        Step("train", (mixture, crops["val"], visemes), weights),
        Step("evaluate", (weights, crops[cell.test_set]), f"{evaluation}/predictions.parquet"),
        Step("table", (f"{evaluation}/predictions.parquet",), table),
    ]


def read_record(run: str, seed: int) -> dict:
    """training.json of one training."""
    return json.loads(Path(f"runs/{run}/seed-{seed}/training.json").read_text())


def artifacts(steps: Iterable[Step]) -> list[str]:
    """The files of a graph in the order in which they were made, each once."""
    return list(dict.fromkeys(file for step in steps for file in (*step.reads, step.writes)))


def digest_rows(cell: Cell, files: list[str], parameters: dict) -> list[dict]:
    """A row an artifact of the graph: {file, found, agrees, by}.

    found: sha256 of the file as it lies in the working directory; agrees: whether the step that
    wrote it, or a later one that read it, recorded the same, None where none did; by: the file that
    says so. Of a mixture, which is small, the training recorded the content.
    """
    corpus, seed = parameters["corpus"]["name"], parameters["seeds"][0]
    training = f"runs/{cell.run}/seed-{seed}/training.json"
    record = read_record(cell.run, seed)
    metrics = evaluation_folder(cell.run, seed, corpus, cell.test_set) / "metrics.json"
    recorded = {
        f"{source['folder']}/manifest.json": (source["manifest_sha256"], training)
        for source in record["mixture"]["sources"]
    }
    validation = f"data/crops/{corpus}-val/manifest.json"
    recorded[validation] = (record["digests"]["validation_manifest"], training)
    evaluated = json.loads(metrics.read_text())
    for file, key in (
        (f"runs/{cell.run}/seed-{seed}/model.safetensors", "weights_sha256"),
        (f"data/crops/{corpus}-{cell.test_set}/manifest.json", "crops_manifest_sha256"),
        (str(metrics.with_name("predictions.parquet")), "predictions_sha256"),
    ):
        recorded[file] = (evaluated.get(key), str(metrics))
    made = Path("tables", *cell.id.split("/")[:2]).with_suffix(".json")
    outputs = json.loads(made.read_text())["outputs"] if made.is_file() else {}
    recorded |= {file: (digest, str(made)) for file, digest in outputs.items()}
    mixture = mixture_file(cell.run, parameters)
    rows = []
    for file in files:
        found = sha256_file(file)
        digest, by = recorded.get(file, (None, ""))
        agrees = None if digest is None else digest == found
        if file == str(mixture):
            agrees, by = json.loads(mixture.read_text()) == record["mixture"], training
        rows.append({"file": file, "found": found, "agrees": agrees, "by": by})
    return rows
