"""A picture of turned heads for the report."""

from visemix.corpora.manifest import read_manifest
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    from visemix.pose.sheet import write_sheet

    write_sheet(
        snakemake.output.sheet,
        read_manifest(snakemake.input.manifest),
        snakemake.params.root,
        snakemake.params.angles,
        snakemake.params.crops,
    )
