"""Table cells in MLflow: what a run holds, no duplicates, and what happens without a server."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor

import pandas as pd
import pytest

mlflow = pytest.importorskip("mlflow")

from visemix.cli import main  # noqa: E402
from visemix.tracking import (  # noqa: E402
    log_cells,
    prepare_store,
    track_paper,
    tracking_uri,
)

ROWS = pd.DataFrame(
    [
        {"cell_id": "lipgen/table3/baseline", "row": "Baseline",
         "other_reading_of": "", "published": 89.5,
         "source": "this paper", "status": "test", "accuracy": 31.0, "low": 25.0, "high": 37.5,
         "n": 200, "rejected": 0, "sd": "", "difference": "", "p": "", "p_mcnemar": "",
         "p_holm": "",
         "run": "lipgen-R1", "departures": "corpus.name: miniature (paper: lrw)", "verdict": "",
         "changed": ""},
        {"cell_id": "lipgen/table3/lipgen-lrw", "row": "LipGen w/ LRW",
         "other_reading_of": "lipgen/table3/baseline", "published": 91.8,
         "source": "this paper", "status": "test", "accuracy": 33.0, "low": 27.0, "high": 39.5,
         "n": 200, "rejected": 1, "sd": "", "difference": 2.0, "p": 0.6,
         "p_mcnemar": 0.5, "p_holm": 0.6, "run": "lipgen-R2",
         "departures": "corpus.name: miniature (paper: lrw)",
         "verdict": "not resolved: one training a row", "changed": ""},
    ]
)  # fmt: skip

PARAMETERS = {
    "scale": "test", "seeds": [0], "corpus": {"name": "miniature"}, "runs": {},
    "synthesis": {"generator": "portrait"},
}  # fmt: skip


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A working directory with what two trainings and their evaluations leave behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for run in ("lipgen-R1", "lipgen-R2"):
        source = {"folder": "data/crops/miniature-train", "role": "real"}
        source["manifest_sha256"] = f"{run[-1] * 64}"
        write(f"runs/{run}/seed-0/training.json", {"mixture": {"sources": [source]}})
        tested = f"evaluations/{run}/seed-0/miniature-test/metrics.json"
        write(tested, {"crops": "data/crops/miniature-test"})
    write("data/crops/miniature-test/manifest.json", {"version": 1})
    ROWS.to_csv("table3.csv", index=False)
    return tmp_path


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(content, file)


@pytest.fixture
def store(finished):
    return prepare_store(None, "visemix")


def runs(store):
    client = mlflow.MlflowClient(store["uri"])
    return client.search_runs([store["experiment_id"]], "tags.paper = 'lipgen'")


def log(store):
    return log_cells("lipgen", "table3", ROWS, PARAMETERS, store)


def test_a_cell_is_one_run_with_its_numbers_and_tags(store):
    logged = log(store)
    found = {run.info.run_id: run for run in runs(store)}
    assert set(logged.values()) == set(found)
    run = found[logged["lipgen/table3/lipgen-lrw"]]
    assert run.data.tags["row"] == "LipGen w/ LRW"
    assert run.data.tags["column"] == "ACC"
    assert run.data.metrics["accuracy"] == 33.0
    assert run.data.metrics["p"] == 0.6
    assert run.data.tags["other_reading_of"] == "lipgen/table3/baseline"
    assert run.data.tags["departures"] == "corpus.name: miniature (paper: lrw)"
    assert run.data.tags["verdict"] == "not resolved: one training a row"
    assert "other_reading_of" not in found[logged["lipgen/table3/baseline"]].data.tags
    assert "p" not in found[logged["lipgen/table3/baseline"]].data.metrics


def test_cells_can_be_compared_by_parameters_and_data(store):
    logged = log(store)
    found = {run.info.run_id: run for run in runs(store)}
    baseline, changed = (
        found[logged[f"lipgen/table3/{row}"]] for row in ("baseline", "lipgen-lrw")
    )
    assert changed.data.params["scale"] == "test"
    differing = {k for k, v in changed.data.params.items() if baseline.data.params[k] != v}
    assert differing == {"run.name", "run.temporal_shift"}
    data = {d.dataset.name: d.dataset.digest for d in changed.inputs.dataset_inputs}
    assert data["miniature-train"] == "2" * 32
    assert len(data["miniature-test"]) == 32


def test_logging_again_keeps_equal_cells_and_replaces_changed_ones(store):
    first = log(store)
    assert log(store) == first
    changed = ROWS.copy()
    changed.loc[1, "accuracy"] = 40.0
    second = log_cells("lipgen", "table3", changed, PARAMETERS, store)
    assert second["lipgen/table3/baseline"] == first["lipgen/table3/baseline"]
    assert second["lipgen/table3/lipgen-lrw"] != first["lipgen/table3/lipgen-lrw"]
    assert len(runs(store)) == 2


def test_the_store_is_made_once_and_found_again(store):
    assert prepare_store(store["uri"], "visemix") == store


def test_default_store_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(None) == f"sqlite:///{tmp_path}/tracking/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(None) == "http://127.0.0.1:5000"
    assert tracking_uri("sqlite:///x.db") == "sqlite:///x.db"


def prepare_and_log(uri):
    return log(prepare_store(uri, "visemix"))


def test_writers_side_by_side_do_not_break_a_new_store(finished):
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(prepare_and_log, [None, None]))
    assert all(set(r) == set(ROWS.cell_id) for r in results)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(port, folder):
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/server.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    with (folder / "server.log").open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    for _ in range(120):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return server
        except OSError:
            assert server.poll() is None, (folder / "server.log").read_text()
            time.sleep(1)
    raise AssertionError("the server does not answer")


def test_a_run_goes_on_without_its_server_and_is_tracked_later(finished, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    parameters = PARAMETERS | {"tracking": {"uri": uri, "experiment": "visemix"}}
    os.makedirs("tracking")
    record = track_paper("tracking/lipgen.json", "lipgen", ["table3.csv"], parameters)
    assert record["cells"] == {}
    assert uri in record["pending"] and "visemix track" in record["pending"]
    assert main(["track"]) == 1
    assert "no MLflow server answers" in capsys.readouterr().out

    server = start_server(port, finished)
    try:
        assert main(["track"]) == 0
        logged = json.loads((finished / "tracking" / "lipgen.json").read_text())
        assert logged["pending"] is None
        assert set(logged["cells"]) == set(ROWS.cell_id)
        with ProcessPoolExecutor(2) as pool:  # writers side by side find the same cells
            again = list(pool.map(prepare_and_log, [uri, uri]))
        assert set(again[0]) == set(again[1]) == set(ROWS.cell_id)
        store = prepare_store(uri, "visemix")
        assert {run.data.tags["cell_id"] for run in runs(store)} == set(ROWS.cell_id)
    finally:
        os.killpg(server.pid, 9)
        server.wait()


def test_tracking_needs_a_finished_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["track"]) == 1
    assert "snakemake --cores all" in capsys.readouterr().err
