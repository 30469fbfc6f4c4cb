"""MLflow: one run for each table cell, made from the tables on disk.

The files are the truth; MLflow shows them. A cell is found again by its tag `cell_id`: equal
content is kept, changed content replaces the old run, so that logging twice never duplicates.
"""

import hashlib
import json
import os
from pathlib import Path

import pandas as pd

METRICS = (
    "published", "accuracy", "low", "high", "n", "rejected", "sd", "difference", "p", "p_mcnemar",
)  # fmt: skip


def tracking_uri(uri: str | None) -> str:
    """The MLflow store: `uri`, else MLFLOW_TRACKING_URI, else tracking/mlflow.db here."""
    local = f"sqlite:///{Path('tracking/mlflow.db').resolve()}"
    return uri or os.environ.get("MLFLOW_TRACKING_URI") or local


def prepare_store(uri: str | None, experiment: str) -> dict:
    """Create the database and the experiment; must be done before several writers start.

    MLflow's first connection to a new sqlite file sets up its schema and fails when two processes
    do it at once. Returns {uri, experiment, experiment_id}.
    """
    client = _client(uri)
    found = client.get_experiment_by_name(experiment)
    identity = found.experiment_id if found else client.create_experiment(experiment)
    return {"uri": tracking_uri(uri), "experiment": experiment, "experiment_id": identity}


def _client(uri: str | None):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri(uri))


def log_cells(paper: str, table: str, rows: pd.DataFrame, parameters: dict, store: dict) -> dict:
    """Log every row of a table (see report.tables.COLUMNS) as one run of MLflow.

    parameters: flat {name: value} that belongs to all cells, logged as MLflow parameters.
    store: the result of `prepare_store`. Returns {cell_id: run_id}.
    """
    client = _client(store["uri"])
    experiment = store["experiment_id"]
    known = _runs_by_cell(client, experiment, paper, table)
    logged = {}
    for row in rows.to_dict("records"):
        content = {"row": row, "parameters": parameters}
        key = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
        old = known.get(row["cell_id"], [])
        same = [run for run in old if run.data.tags.get("key") == key]
        if same:
            logged[row["cell_id"]] = same[0].info.run_id
        else:
            logged[row["cell_id"]] = _write(client, experiment, paper, table, row, parameters, key)
        for run in old:
            if run.info.run_id != logged[row["cell_id"]]:
                client.delete_run(run.info.run_id)
    return logged


def _runs_by_cell(client, experiment: str, paper: str, table: str) -> dict[str, list]:
    found: dict[str, list] = {}
    query = f"tags.paper = '{paper}' and tags.table = '{table}'"
    for run in client.search_runs([experiment], query, max_results=10_000):
        found.setdefault(run.data.tags["cell_id"], []).append(run)
    return found


def _write(client, experiment, paper, table, row, parameters, key) -> str:
    from mlflow.entities import Metric, Param, RunTag

    tags = {
        "paper": paper, "table": table, "row": row["row"], "column": "ACC",
        "cell_id": row["cell_id"], "key": key, "status": row["status"], "source": row["source"],
        "run": row["run"], "changed": row["changed"], "other_reading_of": row["other_reading_of"],
    }  # fmt: skip
    run = client.create_run(experiment, run_name=row["cell_id"])
    time = run.info.start_time
    numbers = [(name, row[name]) for name in METRICS if row[name] != ""]
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, float(value), time, 0) for name, value in numbers],
        params=[Param(name, str(value)) for name, value in parameters.items()],
        tags=[RunTag(name, str(value)) for name, value in tags.items() if value != ""],
    )
    client.set_terminated(run.info.run_id)
    return run.info.run_id
