"""The measures of all compared generators as one table."""

from visemix.run.atomic import atomic_path
from visemix.run.log import log_to
from visemix.tables.generator_table import read_measures, table, to_markdown

if __name__ == "__main__":
    log_to(snakemake.log[0])
    corpus, names = snakemake.params.corpus, snakemake.params.compared
    found = {name: read_measures(f"generators/{corpus}-{name}/measures.json") for name in names}
    rows = table(found)
    with atomic_path(snakemake.output.csv) as temporary:
        rows.to_csv(temporary, index=False)
    with atomic_path(snakemake.output.markdown) as temporary:
        temporary.write_text(to_markdown(rows, found, snakemake.params.scale))
