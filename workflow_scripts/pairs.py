"""Pair portraits with sounds of the training split."""

from visemix.corpora.manifest import read_manifest
from visemix.run.log import log_to
from visemix.synthesis.pairing import make_pairs, write_table

if __name__ == "__main__":
    log_to(snakemake.log[0])
    pairs, excluded = make_pairs(
        read_manifest(snakemake.input.manifest),
        snakemake.params.portraits,
        clips=snakemake.params.clips,
        clips_per_portrait=snakemake.params.clips_per_portrait,
        seed=snakemake.params.seed,
        generator=snakemake.wildcards.generator,
        workers=snakemake.threads,
    )
    write_table(pairs, snakemake.output.pairs)
    write_table(excluded, snakemake.output.excluded)
