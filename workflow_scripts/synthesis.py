"""Drive a generator over all pairs and crop what it makes."""

from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import read_manifest
from visemix.run.gpus import lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    from visemix.generators.contract import synthesise_set

    weights, visemes = snakemake.input.get("weights"), snakemake.input.get("visemes")
    words = pd.read_parquet(visemes).set_index("word")["phonemes"].to_dict() if visemes else None
    synthesise_set(
        snakemake.wildcards.generator,
        pd.read_parquet(snakemake.input.pairs),
        read_manifest(snakemake.input.manifest),
        media_root=snakemake.params.root,
        portraits_root=snakemake.params.portraits,
        folder=Path(snakemake.output.manifest).parent,
        records_path=snakemake.output.records,
        parameters=snakemake.params.crops,
        min_face_share=snakemake.params.min_face_share,
        workers=snakemake.threads,
        trained_folder=Path(weights).parent if weights else None,
        pronunciations=words,
    )
