"""A map of front-end features of real and synthetic clips."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    from visemix.evaluation.feature_map import feature_map
    from visemix.run.atomic import atomic_path

    places = feature_map(
        Path(snakemake.input.model).parent,
        Path(snakemake.input.real).parent,
        Path(snakemake.input.synthetic).parent,
        seed=snakemake.params.seed,
        device=device_name(),
        threads=snakemake.params.evaluation["threads"],
        batch_size=snakemake.params.evaluation["batch_size"],
    )
    with atomic_path(snakemake.output.features) as temporary:
        places.to_parquet(temporary, index=False)
