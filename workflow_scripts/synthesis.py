"""Drive a generator over all pairs, or one part of them, and crop what it makes."""

from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import read_manifest
from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    from visemix.generators.base import generator_class
    from visemix.synthesis.build import synthesise_set

    folder, part = Path(snakemake.output[-1]).parent, snakemake.wildcards.get("part")
    if snakemake.params.external:
        generator_class(snakemake.wildcards.generator).configure(snakemake.params.external, folder)
    weights, visemes = snakemake.input.get("weights"), snakemake.input.get("visemes")
    words = pd.read_parquet(visemes).set_index("word")["phonemes"].to_dict() if visemes else None
    synthesise_set(
        snakemake.wildcards.generator, pd.read_parquet(snakemake.input.pairs),
        read_manifest(snakemake.input.manifest), parameters=snakemake.params.crops,
        media_root=snakemake.params.root, trained_folder=Path(weights).parent if weights else None,
        portraits=snakemake.params.portraits, folder=snakemake.params.crop_set,
        records_path=folder / "records.parquet", min_face_share=snakemake.params.min_face_share,
        device=device_name() if weights else "cpu", workers=snakemake.threads, pronunciations=words,
        part=(int(part), int(snakemake.wildcards.parts)) if part else None,
    )  # fmt: skip
