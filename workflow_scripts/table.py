"""Published and reproduced values of one table: CSV, Markdown, a figure, what they come from."""

from pathlib import Path

from visemix.config.parameters import resolve_parameters
from visemix.papers.cells import read_paper
from visemix.run.log import log_to
from visemix.tables.figures import table_figure, write_png
from visemix.tables.made_from import write_record
from visemix.tables.paper_table import write_table
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    paper, table = snakemake.wildcards.paper, snakemake.wildcards.table
    # all parameters: not of the rule, where any change of them would make every table again; those
    # that the table depends on beside its inputs are
    parameters = resolve_parameters(snakemake.config, Path(snakemake.scriptdir).parent)
    made = (snakemake.output.csv, snakemake.output.markdown)
    rows, notes = write_table(paper, table, Results(parameters), *made, snakemake.output.metrics)
    content, chance = read_paper(paper), notes[-1]["accuracy"] if notes else None
    caption = content["tables"][table]["caption"]
    figure = table_figure(rows, caption, parameters["scale"], chance, content["metric"])
    write_png(snakemake.output.figure, figure)
    made += (snakemake.output.figure,)
    write_record(snakemake.output.record, paper, table, parameters, made)
