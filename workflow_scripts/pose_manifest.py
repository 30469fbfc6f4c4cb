"""Draw which test clip is turned how far."""

from visemix.config.pose import Pose
from visemix.corpora.manifest import read_manifest
from visemix.pose.angles import draw_angles
from visemix.run.atomic import atomic_path
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    params = {name: value for name, value in snakemake.params.items() if name != "code"}
    drawn = draw_angles(read_manifest(snakemake.input.manifest), Pose(**params))
    with atomic_path(snakemake.output.manifest) as temporary:
        drawn.to_parquet(temporary, index=False)
