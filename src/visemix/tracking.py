"""MLflow: one run for each table cell, made from the tables on disk.

The files are the truth; MLflow shows them. A cell is found again by its tag `cell_id`: equal
content is kept, changed content replaces the old run, so that logging twice never duplicates.
A server that does not answer stops nothing: what it should have shown stays in tracking/*.json.
"""

import fcntl
import hashlib
import json
import logging
import os
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from visemix.config.parameters import flatten
from visemix.papers.cells import evaluation_folder, resolve_run, table_test_set
from visemix.run.atomic import sha256_file, write_json

METRICS = (
    "published", "accuracy", "low", "high", "n", "rejected", "sd", "difference", "p", "p_mcnemar",
    "p_holm",
)  # fmt: skip
log = logging.getLogger(__name__)


class ServerUnreachable(RuntimeError):
    """The MLflow server does not answer; the message names it and the remedy."""


def tracking_uri(uri: str | None) -> str:
    """The MLflow store: `uri`, else MLFLOW_TRACKING_URI, else tracking/mlflow.db here."""
    local = f"sqlite:///{Path('tracking/mlflow.db').resolve()}"
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or local


def prepare_store(uri: str | None, experiment: str) -> dict:
    """Find the experiment, or make it, and the database where that is a file that is not there.

    Returns {uri, experiment, experiment_id}. Raises ServerUnreachable.
    """
    uri = tracking_uri(uri)
    # MLflow's first connections to a new sqlite file set up its schema and fail side by side
    with _alone(uri), _reachable(uri):
        client = _client(uri)
        found = client.get_experiment_by_name(experiment)
        identity = found.experiment_id if found else client.create_experiment(experiment)
    return {"uri": uri, "experiment": experiment, "experiment_id": identity}


@contextmanager
def _alone(uri: str):
    """Keep other processes of ours out, where the store is a sqlite file."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    path = Path(uri.removeprefix("sqlite:///") + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _reachable(uri: str):
    """Turn MLflow's failure to connect into ServerUnreachable; its other errors stay."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except MlflowException as error:
        if not isinstance(error.__context__, RequestException):
            raise
        message = f"no MLflow server answers at {uri}; start it, then say `visemix track`"
        raise ServerUnreachable(message) from error


def _client(uri: str):
    # by default MLflow asks a dead server again for minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def track_paper(path: str | Path, paper: str, tables: list[str], parameters: dict) -> dict:
    """Log the cells of a paper's tables and write what was logged to `path`, a JSON file.

    tables: their CSV files (tables.results.COLUMNS); parameters: the resolved ones. Writes and
    returns {paper, tables, parameters, cells: {cell_id: run_id}, pending}. `pending` is None, or
    says why the cells are not in MLflow: the run goes on without a server, and `track_again` of
    that file makes up for it.
    """
    record: dict = {"paper": paper, "tables": [str(table) for table in tables]}
    record["parameters"] = parameters
    try:
        store = prepare_store(**parameters["tracking"])
        cells: dict[str, str] = {}
        for table in map(Path, tables):
            rows = pd.read_csv(table, keep_default_na=False)
            cells |= log_cells(paper, table.stem, rows, parameters, store)
        record |= {"cells": cells, "pending": None}
    except ServerUnreachable as error:
        log.warning("%s", error)
        record |= {"cells": {}, "pending": str(error)}
    write_json(path, record)
    return record


def track_again() -> list[dict]:
    """Log once more what tracking/*.json stand for; returns their new contents.

    Raises FileNotFoundError where there is none.
    """
    found = sorted(Path("tracking").glob("*.json"))
    if not found:
        raise FileNotFoundError(
            "no tracking/<paper>.json here; run `snakemake --cores all` in this folder first"
        )
    records = [json.loads(path.read_text()) for path in found]
    return [
        track_paper(path, record["paper"], record["tables"], record["parameters"])
        for path, record in zip(found, records, strict=True)
    ]


def log_cells(paper: str, table: str, rows: pd.DataFrame, parameters: dict, store: dict) -> dict:
    """Log every row of a table (see tables.results.COLUMNS) as one run of MLflow.

    A run has the row's numbers as metrics, the parameters and those of the cell's own run (named
    run.*) as parameters, so that two cells can be compared, and what the recogniser was trained
    and tested on as data sets with digests. Cells of the literature have neither.
    store: the result of `prepare_store`. Returns {cell_id: run_id}. Raises ServerUnreachable.
    """
    # two writers to a sqlite file that both know a data set first would both insert it
    with _alone(store["uri"]), _reachable(store["uri"]):
        return _log_cells(_client(store["uri"]), paper, table, rows, parameters, store)


def _log_cells(client, paper: str, table: str, rows, parameters: dict, store: dict) -> dict:
    experiment = store["experiment_id"]
    known = _runs_by_cell(client, experiment, paper, table)
    logged = {}
    for row in rows.to_dict("records"):
        content = {"row": row} | _made_with(row, table_test_set(paper, table), parameters)
        key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
        old = known.get(row["cell_id"], [])
        same = [run for run in old if run.data.tags.get("key") == key]
        if same:
            logged[row["cell_id"]] = same[0].info.run_id
        else:
            logged[row["cell_id"]] = _write(client, experiment, paper, table, content, key)
        for run in old:
            if run.info.run_id != logged[row["cell_id"]]:
                client.delete_run(run.info.run_id)
    return logged


def _made_with(row: dict, test_set: str, parameters: dict) -> dict:
    """Parameters and data sets of a row: {parameters: {name: value}, datasets: [...]}.

    A data set is {name, digest, source, context}; digests are the first 32 digits of a sha256.
    """
    flat = flatten({k: v for k, v in parameters.items() if k != "runs"})
    if not row["n"]:
        return {"parameters": flat, "datasets": []}
    run, seed = row["run"], parameters["seeds"][0]
    settings = {f"run.{k}": v for k, v in resolve_run(run, parameters).items()}
    training = json.loads(Path(f"runs/{run}/seed-{seed}/training.json").read_text())
    sources = [
        (s["folder"], s["manifest_sha256"], s["role"]) for s in training["mixture"]["sources"]
    ]
    tested = evaluation_folder(run, seed, parameters["corpus"]["name"], test_set)
    test_crops = Path(json.loads((tested / "metrics.json").read_text())["crops"])
    sources.append((str(test_crops), sha256_file(test_crops / "manifest.json"), "test"))
    datasets = [
        {"name": Path(folder).name, "digest": sha[:32], "source": folder, "context": context}
        for folder, sha, context in sources
    ]
    return {"parameters": flat | settings, "datasets": datasets}


def _runs_by_cell(client, experiment: str, paper: str, table: str) -> dict[str, list]:
    found: dict[str, list] = {}
    query = f"tags.paper = '{paper}' and tags.table = '{table}'"
    for run in client.search_runs([experiment], query, max_results=10_000):
        found.setdefault(run.data.tags["cell_id"], []).append(run)
    return found


def _write(client, experiment: str, paper: str, table: str, content: dict, key: str) -> str:
    from mlflow import entities

    row = content["row"]
    tags = {
        "paper": paper, "table": table, "row": row["row"], "column": "ACC",
        "cell_id": row["cell_id"], "key": key, "status": row["status"], "source": row["source"],
        "run": row["run"], "changed": row["changed"], "other_reading_of": row["other_reading_of"],
        "departures": row["departures"], "verdict": row["verdict"],
    }  # fmt: skip
    run = client.create_run(experiment, run_name=row["cell_id"])
    time = run.info.start_time
    numbers = [(name, row[name]) for name in METRICS if row[name] != ""]
    client.log_batch(
        run.info.run_id,
        metrics=[entities.Metric(name, float(value), time, 0) for name, value in numbers],
        params=[entities.Param(name, str(value)) for name, value in content["parameters"].items()],
        tags=[entities.RunTag(name, str(value)) for name, value in tags.items() if value != ""],
    )
    client.log_inputs(
        run.info.run_id,
        [
            entities.DatasetInput(
                entities.Dataset(d["name"], d["digest"], "local", json.dumps({"uri": d["source"]})),
                [entities.InputTag("mlflow.data.context", d["context"])],
            )
            for d in content["datasets"]
        ],
    )
    client.set_terminated(run.info.run_id)
    return run.info.run_id
