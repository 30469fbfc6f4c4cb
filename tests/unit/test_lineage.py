"""The steps on the way to a cell: what an audit makes again, compares and borrows."""

import json
from pathlib import Path

import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.audit.comparison import compared_files
from visemix.audit.rerun import borrowed
from visemix.config.parameters import resolve_parameters
from visemix.papers.cells import find_cell
from visemix.tables.lineage import steps_of
from visemix.tables.results import Results

CROPS = "data/crops/miniature-{}"


@pytest.fixture
def parameters(tmp_path, monkeypatch):
    """The working directory holds what two trainings of the full model learnt from."""
    monkeypatch.chdir(tmp_path)
    for name in ("train", "val", "test", "pose", "portrait"):
        folder = Path(CROPS.format(name))
        folder.mkdir(parents=True)
        shards = [{"file": "shard-00000.npy"}]
        (folder / "manifest.json").write_text(json.dumps({"shards": shards}))
    sources = [
        {"role": "real", "folder": CROPS.format("train")},
        {"role": "synthetic", "folder": CROPS.format("portrait")},
    ]
    for seed in (0, 1):
        folder = Path(f"runs/lipgen-R6/seed-{seed}")
        folder.mkdir(parents=True)
        (folder / "training.json").write_text(json.dumps({"mixture": {"sources": sources}}))
    given = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    return resolve_parameters(given | {"scale": "test", "seeds": [0, 1]}, REPOSITORY)


def evaluated(test_set):
    folders = [f"evaluations/lipgen-R6/seed-{seed}/miniature-{test_set}" for seed in (0, 1)]
    return [f"{f}/{name}" for f in folders for name in ("predictions.parquet", "metrics.json")]


TRAINED = [
    f"runs/lipgen-R6/seed-{seed}/{name}"
    for seed in (0, 1)
    for name in ("history.csv", "model.safetensors", "training.json")
]


@pytest.mark.parametrize(
    ("cell", "test_set"), [("table3/tafm-0.1", "test"), ("table2/lrw-syn-full", "pose")]
)
def test_what_a_rerun_compares_and_borrows(parameters, cell, test_set):
    cell = find_cell(f"lipgen/{cell}")
    assert (cell.run, cell.test_set) == ("lipgen-R6", test_set)

    def files(start):
        return [str(path) for path in compared_files(cell, parameters, start)]

    def links(start):
        return {str(path) for path in borrowed(cell, parameters, start)}

    assert files("evaluation") == evaluated(test_set)
    assert links("evaluation") == {
        "runs/lipgen-R6/seed-0", "runs/lipgen-R6/seed-1", CROPS.format(test_set),
    }  # fmt: skip
    mixture = next(
        s.writes for s in steps_of(cell, Results(parameters), [0]) if "mixture" in s.rule
    )
    assert files("training") == [mixture, *TRAINED, *evaluated(test_set)]
    visemes = f"data/visemes/{parameters['visemes']['map']}.parquet"
    sets = {CROPS.format(name) for name in ("train", "val", test_set, "portrait")}
    assert links("training") == {visemes, *sets}
    whole = files("corpus")
    assert whole[-len(files("training")) :] == files("training")
    before = set(whole[: -len(files("training"))])
    names = ("shard-00000.npy", "index.parquet", "rejects.parquet", "manifest.json")
    turned = {"data/manifests/miniature-pose.parquet"} if test_set == "pose" else set()
    pairs = "data/synthesis/miniature-portrait/pairs.parquet"
    assert before == turned | {
        "data/manifests/miniature.parquet", visemes, pairs,
        *(f"{folder}/{name}" for folder in sets for name in names),
    }  # fmt: skip
    assert len(whole) == len(set(whole))
