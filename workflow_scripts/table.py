"""Published and reproduced values of one table: CSV, Markdown, a figure, what they come from."""

from pathlib import Path

from visemix.config.parameters import resolve_parameters
from visemix.papers.cells import read_paper
from visemix.run.atomic import atomic_path, write_json
from visemix.run.log import log_to
from visemix.tables.figures import table_figure, write_png
from visemix.tables.made_from import write_record
from visemix.tables.paper_table import build_table, controls, metrics, to_markdown
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    paper, table = snakemake.wildcards.paper, snakemake.wildcards.table
    # all parameters: not of the rule, where any change of them would make every table again; those
    # that the table depends on beside its inputs are
    parameters = resolve_parameters(snakemake.config, Path(snakemake.scriptdir).parent)
    content = read_paper(paper)
    caption = content["tables"][table]["caption"]
    results = Results(parameters)
    rows = build_table(paper, table, results)
    notes = controls(paper, table, results)
    with atomic_path(snakemake.output.csv) as temporary:
        rows.to_csv(temporary, index=False)
    with atomic_path(snakemake.output.markdown) as temporary:
        temporary.write_text(to_markdown(rows, caption, notes))
    write_json(snakemake.output.metrics, metrics(rows))
    chance = notes[-1]["accuracy"] if notes else None
    figure = table_figure(rows, caption, parameters["scale"], chance, content["metric"])
    write_png(snakemake.output.figure, figure)
    made = (snakemake.output.csv, snakemake.output.markdown, snakemake.output.figure)
    write_record(snakemake.output.record, paper, table, parameters, made)
