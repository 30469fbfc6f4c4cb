"""Train a generator on crops and sounds of the training split."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    from visemix.generators.base import generator_class
    from visemix.generators.paired_clips import open_paired

    data, held_out = (
        open_paired(Path(crops).parent, Path(sounds).parent)
        for crops, sounds in zip(snakemake.input.crops, snakemake.input.sounds, strict=True)
    )
    reader = snakemake.input.get("lip_reader")
    generator_class(snakemake.wildcards.generator).train(
        data,
        held_out,
        snakemake.params.settings,
        folder=Path(snakemake.output.weights).parent,
        seed=snakemake.params.seed,
        device=device_name(),
        **({"vsr_run_folder": Path(reader).parent} if reader else {}),
    )
