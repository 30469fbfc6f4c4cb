"""Write the index of a mixture of fixed size with a proportion of synthetic clips."""

from pathlib import Path

from visemix.clips.mixture import make_sampled_mixture, write_mixture
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    mixture = make_sampled_mixture(
        name=Path(snakemake.output.mixture).stem,
        real_folder=Path(snakemake.input.real).parent,
        synthetic_folder=Path(snakemake.input.synthetic).parent,
        synthetic=int(snakemake.wildcards.share) / 100,
        all_proportions=[share / 100 for share in snakemake.params.shares],
        seed=snakemake.params.seed + ord(snakemake.wildcards.draw) - ord("A"),
    )
    write_mixture(snakemake.output.mixture, mixture)
