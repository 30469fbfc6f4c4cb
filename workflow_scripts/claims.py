"""Every claim of the papers with its arithmetic and what our runs say: CSV and Markdown."""

from visemix.run.atomic import write_text
from visemix.run.log import log_to
from visemix.tables.claims_table import claims_markdown, claims_table
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    parameters = snakemake.params.parameters
    table = claims_table(Results(parameters))
    write_text(snakemake.output.csv, table.to_csv(index=False))
    write_text(snakemake.output.markdown, claims_markdown(table, parameters))
