"""Viseme labels of every word of the corpus."""

from visemix.corpora.manifest import read_manifest
from visemix.run.atomic import atomic_path
from visemix.run.log import log_to
from visemix.visemes import viseme_table

if __name__ == "__main__":
    log_to(snakemake.log[0])
    words = sorted(set(read_manifest(snakemake.input.manifest).label))
    table = viseme_table(words, snakemake.params.map, snakemake.input.get("pronunciations") or None)
    with atomic_path(snakemake.output.visemes) as temporary:
        table.to_parquet(temporary, index=False)
