"""Create the MLflow store before anything writes to it."""

from visemix.run.atomic import write_json
from visemix.run.log import log_to
from visemix.run.tracking import prepare_store

if __name__ == "__main__":
    log_to(snakemake.log[0])
    write_json(snakemake.output[0], prepare_store(**snakemake.params.tracking))
