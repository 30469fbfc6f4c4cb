"""Turn the heads of the test clips and cut mouth crops of them."""

from pathlib import Path

import pandas as pd

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    from visemix.pose.test_set import pose_set

    pose_set(
        pd.read_parquet(snakemake.input.manifest),
        media_root=snakemake.params.root,
        folder=Path(snakemake.output.manifest).parent,
        parameters=snakemake.params.crops,
        workers=snakemake.threads,
        device=device_name(),
    )
