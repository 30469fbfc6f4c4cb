"""Write the index of a mixture of real and synthetic clips."""

from pathlib import Path

from visemix.clips.mixture import make_mixture, write_mixture
from visemix.config.repeats import repeats_value
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    synthetic = snakemake.input.get("synthetic")
    mixture = make_mixture(
        name=Path(snakemake.output.mixture).stem,
        real_folder=Path(snakemake.input.real).parent,
        synthetic_folder=Path(synthetic).parent if synthetic else None,
        repeats=float(repeats_value(snakemake.params.repeats)),
        seed=snakemake.params.seed,
        redraw=snakemake.params.redraw,
    )
    write_mixture(snakemake.output.mixture, mixture)
