"""The sound of every clip of one split in one file."""

from pathlib import Path

from visemix.corpora.manifest import read_manifest
from visemix.generators.paired_clips import write_sounds
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    write_sounds(
        read_manifest(snakemake.input.manifest),
        split=snakemake.wildcards.split,
        media_root=snakemake.params.root,
        folder=Path(snakemake.output.index).parent,
        workers=snakemake.threads,
    )
