"""Log every cell of a paper's tables as one MLflow run."""

from visemix.run.log import log_to
from visemix.tracking import track_paper

if __name__ == "__main__":
    log_to(snakemake.log[0])
    track_paper(
        snakemake.output.cells,
        snakemake.wildcards.paper,
        snakemake.input.tables,
        snakemake.params.parameters,
    )
