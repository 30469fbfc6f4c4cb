"""How many test clips and seeds would show a paper's differences: CSV and Markdown."""

from visemix.run.atomic import write_text
from visemix.run.log import log_to
from visemix.tables.power_table import power_markdown, power_table
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    paper, parameters = snakemake.wildcards.paper, snakemake.params.parameters
    table = power_table(paper, Results(parameters))
    write_text(snakemake.output.csv, table.to_csv(index=False))
    write_text(snakemake.output.markdown, power_markdown(paper, table, parameters["scale"]))
