"""Accuracy of a table's runs by the angle of the turned heads: CSV and a figure."""

from visemix.papers.cells import read_paper, reproduced_cells
from visemix.run.atomic import atomic_path
from visemix.run.log import log_to
from visemix.tables.angles_table import accuracy_by_angle, read_angles
from visemix.tables.figures import angle_figure, write_png
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    paper, table = snakemake.wildcards.paper, snakemake.wildcards.table
    parameters = {"corpus": {"name": snakemake.params.corpus}, "seeds": snakemake.params.seeds}
    predictions = Results(parameters).of_table(paper, table)
    rows = accuracy_by_angle(predictions, read_angles(snakemake.params.corpus))
    with atomic_path(snakemake.output.csv) as temporary:
        rows.to_csv(temporary, index=False)
    names = {cell.run: cell.row for cell in reproduced_cells(paper, table)}
    caption = read_paper(paper)["tables"][table]["caption"].split(":")[0]
    title = f"Not in the paper: the runs of {caption} by angle, scale {snakemake.params.scale}"
    write_png(snakemake.output.figure, angle_figure(rows, names, title))
