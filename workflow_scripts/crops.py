"""Cut 96x96 mouth crops from every clip of one split."""

from pathlib import Path

from visemix.corpora.manifest import read_manifest
from visemix.run.gpus import lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    from visemix.faces.crops import crop_set

    crop_set(
        read_manifest(snakemake.input.manifest),
        split=snakemake.wildcards.split,
        media_root=snakemake.params.root,
        folder=Path(snakemake.output.manifest).parent,
        parameters=snakemake.params.crops,
        workers=snakemake.threads,
    )
