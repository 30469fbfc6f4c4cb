"""A generator makes held-out clips again, each from its first frame and its sound."""

from pathlib import Path

import pandas as pd

from visemix.corpora.manifest import read_manifest
from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    from visemix.generators.base import generator_class
    from visemix.synthesis.evaluation_sets import evaluation_set

    weights, visemes = snakemake.input.get("weights"), snakemake.input.get("visemes")
    said = pd.read_parquet(visemes).set_index("word")["phonemes"].to_dict() if visemes else None
    seconds = Path(snakemake.params.seconds)
    if snakemake.params.external:
        kind = generator_class(snakemake.wildcards.generator)
        kind.configure(snakemake.params.external, seconds.parent)
    evaluation_set(
        snakemake.wildcards.generator, read_manifest(snakemake.input.manifest), pronunciations=said,
        model_folder=Path(weights).parent if weights else seconds.parent, seconds_path=seconds,
        folder=Path(snakemake.output.manifest).parent, media_root=snakemake.params.root,
        min_face_share=snakemake.params.min_face_share, device=device_name() if weights else "cpu",
        real_folder=Path(snakemake.input.real).parent, parameters=snakemake.params.crops,
        clips=snakemake.params.clips, seed=snakemake.params.seed, workers=snakemake.threads,
    )  # fmt: skip
