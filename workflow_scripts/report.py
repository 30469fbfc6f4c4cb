"""The report: a folder of pages that needs no network."""

from pathlib import Path

from visemix.report.pages import write_report
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    write_report(Path(snakemake.output.html).parent, snakemake.params.parameters)
