"""Re-run one cell, from training on, and compare it with its record."""

from pathlib import Path

from visemix.audit.cell import audit
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    audit(
        snakemake.params.cell,
        snakemake.config,
        cores=snakemake.threads,
        snakefile=Path(snakemake.scriptdir).parent / "Snakefile",
    )
