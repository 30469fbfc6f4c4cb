"""Draws of synthetic clips: their accuracies, and where the drawn clips lie among all."""

import pandas as pd

from visemix.report import samplings
from visemix.report.beta_figures import samplings_figure
from visemix.report.figures import write_png
from visemix.run.atomic import write_text
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    parameters = snakemake.params.parameters
    table = samplings.samplings_table(parameters)
    write_text(snakemake.output.csv, table.to_csv(index=False))
    write_text(snakemake.output.markdown, samplings.samplings_markdown(table))
    names = parameters["beta"]["generators"]
    inputs = zip(names, snakemake.input.features, snakemake.output.figures, strict=True)
    real = table.iloc[0]
    for generator, features, figure in inputs:
        rows = table[table.generator == generator]
        drawn = {run: samplings.drawn_clips(run, parameters) for run in rows.run}
        title = (
            f"{generator}: t-SNE of front-end features; word accuracy (%), n = {real.n}, scale "
            f"{real.scale}\nreal clips alone {real.accuracy:.1f} [{real.low:.1f}, {real.high:.1f}]"
        )
        places = pd.read_parquet(features)
        write_png(figure, samplings_figure(rows, places, drawn, title))
