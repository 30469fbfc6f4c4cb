"""Render and speak the embedded corpus in LRW's layout."""

from pathlib import Path

from visemix.corpora.miniature import make_corpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    make_corpus(
        root=Path(snakemake.output.speakers).parent,
        words=snakemake.params.words,
        clips_per_word=snakemake.params.clips_per_word,
        portraits=snakemake.params.portraits,
        seed=snakemake.params.seed,
        workers=snakemake.threads,
    )
