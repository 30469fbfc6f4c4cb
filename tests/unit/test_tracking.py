from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import pytest

mlflow = pytest.importorskip("mlflow")

from visemix.run.tracking import log_cells, prepare_store, tracking_uri  # noqa: E402

ROWS = pd.DataFrame(
    [
        {"cell_id": "lipgen/table3/baseline", "row": "Baseline",
         "other_reading_of": "", "published": 89.5,
         "source": "this paper", "status": "test", "accuracy": 31.0, "low": 25.0, "high": 37.5,
         "n": 200, "rejected": 0, "sd": "", "difference": "", "p": "", "p_mcnemar": "",
         "run": "lipgen-R1",
         "changed": ""},
        {"cell_id": "lipgen/table3/lipgen-lrw", "row": "LipGen w/ LRW",
         "other_reading_of": "lipgen/table3/baseline", "published": 91.8,
         "source": "this paper", "status": "test", "accuracy": 33.0, "low": 27.0, "high": 39.5,
         "n": 200, "rejected": 1, "sd": "", "difference": 2.0, "p": 0.6,
         "p_mcnemar": 0.5, "run": "lipgen-R2",
         "changed": ""},
    ]
)  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return prepare_store(f"sqlite:///{tmp_path}/mlflow.db", "visemix")


def runs(store):
    client = mlflow.MlflowClient(store["uri"])
    return client.search_runs([store["experiment_id"]], "tags.paper = 'lipgen'")


def test_a_cell_is_one_run_with_its_numbers_and_tags(store):
    logged = log_cells("lipgen", "table3", ROWS, {"scale": "test"}, store)
    found = {run.info.run_id: run for run in runs(store)}
    assert set(logged.values()) == set(found)
    run = found[logged["lipgen/table3/lipgen-lrw"]]
    assert run.data.tags["row"] == "LipGen w/ LRW"
    assert run.data.tags["column"] == "ACC"
    assert run.data.metrics["accuracy"] == 33.0
    assert run.data.metrics["p"] == 0.6
    assert run.data.params == {"scale": "test"}
    assert run.data.tags["other_reading_of"] == "lipgen/table3/baseline"
    assert "other_reading_of" not in found[logged["lipgen/table3/baseline"]].data.tags
    assert "p" not in found[logged["lipgen/table3/baseline"]].data.metrics


def test_logging_again_keeps_equal_cells_and_replaces_changed_ones(store):
    first = log_cells("lipgen", "table3", ROWS, {}, store)
    assert log_cells("lipgen", "table3", ROWS, {}, store) == first
    changed = ROWS.copy()
    changed.loc[1, "accuracy"] = 40.0
    second = log_cells("lipgen", "table3", changed, {}, store)
    assert second["lipgen/table3/baseline"] == first["lipgen/table3/baseline"]
    assert second["lipgen/table3/lipgen-lrw"] != first["lipgen/table3/lipgen-lrw"]
    assert len(runs(store)) == 2


def _log(store):
    return log_cells("lipgen", "table3", ROWS, {}, store)


def test_the_store_is_made_once_and_found_again(store):
    assert prepare_store(store["uri"], "visemix") == store


def test_default_store_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(None) == f"sqlite:///{tmp_path}/tracking/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(None) == "http://127.0.0.1:5000"
    assert tracking_uri("sqlite:///x.db") == "sqlite:///x.db"


def test_writers_side_by_side_do_not_break_a_prepared_store(store):
    with ProcessPoolExecutor(2) as pool:
        results = [f.result() for f in [pool.submit(_log, store) for _ in range(2)]]
    assert all(set(r) == set(ROWS.cell_id) for r in results)
