"""Where the number of a cell comes from: the artifacts on its way, the steps, and their digests."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from visemix.papers.cells import Cell, evaluation_folder, mixture_file
from visemix.tables.results import Results


class Step(NamedTuple):
    """A step of the workflow: the rule's name, and the artifacts it reads and writes (files)."""

    rule: str
    reads: tuple[str, ...]
    writes: str


def table_file(cell: Cell) -> Path:
    """tables/<paper>/<table>.csv"""
    return Path("tables") / f"{cell.id.rpartition('/')[0]}.csv"


def steps_of(cell: Cell, results: Results, seeds: list[int]) -> list[Step]:
    """The steps between the corpus' manifest and the table of a measured cell, for some seeds.

    The clips a run learnt from are taken from the training.json of the first seed.
    """
    parameters = results.parameters
    corpus = parameters["corpus"]["name"]
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
    for source in results.training(cell.own_run, seeds[0])["mixture"]["sources"]:
        learnt = Path(source["folder"])
        sources.append(f"{learnt}/manifest.json")
        if source["role"] == "synthetic":
            pairs = f"data/synthesis/{learnt.name}/pairs.parquet"
            steps += [Step("pairs", (manifest,), pairs), Step("synthesis", (pairs,), sources[-1])]
        else:
            steps += [Step("crops", (manifest,), sources[-1])]
    mixture = str(mixture_file(cell.own_run, parameters))
    rule = "mixture_synthetic" if len(sources) > 1 else "mixture_real"
    visemes, test = f"data/visemes/{parameters['visemes']['map']}.parquet", crops[cell.test_set]
    trained = [f"runs/{cell.own_run}/seed-{seed}/model.safetensors" for seed in seeds]
    folders = [evaluation_folder(cell.own_run, seed, corpus, cell.test_set) for seed in seeds]
    read = [f"{folder}/predictions.parquet" for folder in folders]
    return [
        *steps,
        Step("visemes", (manifest,), visemes),
        Step(rule, tuple(sources), mixture),
        *(Step("train", (mixture, crops["val"], visemes), weights) for weights in trained),
        *(Step("evaluate", (w, test), p) for w, p in zip(trained, read, strict=True)),
        Step("table", tuple(read), str(table_file(cell))),
    ]


def given_inputs(parameters: dict) -> list[Path]:
    """What no rule makes: the corpus on disk, portraits, and files of the user's choice."""
    paths = [parameters["visemes"]["pronunciations"], parameters["crops"]["detector_weights"]]
    if parameters["corpus"]["name"] != "miniature":
        paths += [parameters["corpus"]["root"]]
    if not parameters["synthesis"]["rendered_portraits"]:
        paths += [source["root"] for source in parameters["synthesis"]["portraits"]]
    for program in parameters["external"].values():
        paths += [program["repository"]]
        paths += [program["python"]] if isinstance(program["python"], str) else []
    return sorted({Path(path) for path in paths if path})


def artifacts(steps: Iterable[Step]) -> list[str]:
    """The files of a graph in the order in which they were made, each once."""
    return list(dict.fromkeys(file for step in steps for file in (*step.reads, step.writes)))


def digest_rows(cell: Cell, files: list[str], results: Results) -> list[dict]:
    """A row an artifact of the graph: {file, found, agrees, by}.

    found: sha256 of the file as it lies in the working directory; agrees: whether the step that
    wrote it, or a later one that read it, recorded the same, None where none did; by: the file that
    says so. Of a mixture, which is small, the training recorded the content.
    """
    parameters = results.parameters
    corpus, seed = parameters["corpus"]["name"], parameters["seeds"][0]
    training = f"runs/{cell.own_run}/seed-{seed}/training.json"
    record = results.training(cell.own_run)
    metrics = evaluation_folder(cell.own_run, seed, corpus, cell.test_set) / "metrics.json"
    recorded = {
        f"{source['folder']}/manifest.json": (source["manifest_sha256"], training)
        for source in record["mixture"]["sources"]
    }
    validation = f"data/crops/{corpus}-val/manifest.json"
    recorded[validation] = (record["digests"]["validation_manifest"], training)
    evaluated = results.json(metrics)
    for file, key in (
        (f"runs/{cell.own_run}/seed-{seed}/model.safetensors", "weights_sha256"),
        (f"data/crops/{corpus}-{cell.test_set}/manifest.json", "crops_manifest_sha256"),
        (str(metrics.with_name("predictions.parquet")), "predictions_sha256"),
    ):
        recorded[file] = (evaluated.get(key), str(metrics))
    made = table_file(cell).with_suffix(".json")
    outputs = results.json(made)["outputs"] if made.is_file() else {}
    recorded |= {file: (digest, str(made)) for file, digest in outputs.items()}
    mixture = mixture_file(cell.own_run, parameters)
    rows = []
    for file in files:
        found = results.sha256(file)
        digest, by = recorded.get(file, (None, ""))
        agrees = None if digest is None else digest == found
        if file == str(mixture):
            agrees, by = results.json(mixture) == record["mixture"], training
        rows.append({"file": file, "found": found, "agrees": agrees, "by": by})
    return rows
