"""Accuracy over beta, fitted curves, and every mixture against the real clips alone."""

from visemix.run.atomic import write_text
from visemix.run.log import log_to
from visemix.tables import beta_curve as beta
from visemix.tables import figures
from visemix.tables.figures import write_png
from visemix.tables.results import Results

if __name__ == "__main__":
    log_to(snakemake.log[0])
    results = Results(beta.seeds_of_axis(snakemake.params.parameters))
    axis = beta.read_axis(results)
    curve = beta.curve_table(axis, results)
    fits = beta.fit_axis(axis, curve)
    differences = beta.difference_table(axis, curve)
    curve_csv, curve_md, curve_png = snakemake.output.curve
    verdicts_csv, verdicts_md, verdicts_png = snakemake.output.verdicts
    write_text(curve_csv, curve.to_csv(index=False))
    write_text(curve_md, beta.curve_markdown(curve, fits))
    write_png(curve_png, figures.curve_figure(curve, fits, beta.CONTROLS))
    write_text(verdicts_csv, differences.to_csv(index=False))
    write_text(verdicts_md, beta.differences_markdown(differences))
    write_png(verdicts_png, figures.difference_figure(differences, beta.CONTROLS))
    write_text(snakemake.output.fits, beta.fit_table(fits).to_csv(index=False))
