"""The report: one HTML file that needs no network."""

from visemix.report.html import write_report
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    write_report(snakemake.output.html, snakemake.params.parameters)
