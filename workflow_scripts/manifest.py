"""List every clip of a corpus, with its word times, checksum and status."""

from visemix.corpora.lrw import scan
from visemix.corpora.manifest import write_manifest
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    corpus = snakemake.params.corpus
    clips = scan(
        corpus["root"],
        corpus=corpus["name"],
        words=corpus["words"],
        workers=snakemake.threads,
    )
    write_manifest(clips, snakemake.output.manifest)
