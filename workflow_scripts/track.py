"""Log every cell of a paper's tables as one MLflow run."""

import json
from pathlib import Path

import pandas as pd

from visemix.run.atomic import write_json
from visemix.run.log import log_to
from visemix.run.parameters import flatten
from visemix.run.tracking import log_cells

if __name__ == "__main__":
    log_to(snakemake.log[0])
    store = json.loads(Path(snakemake.input.database[0]).read_text())
    parameters = flatten(snakemake.params.parameters)
    logged = {}
    for path in map(Path, snakemake.input.tables):
        rows = pd.read_csv(path, keep_default_na=False)
        logged |= log_cells(snakemake.wildcards.paper, path.stem, rows, parameters, store)
    write_json(snakemake.output.cells, logged)
