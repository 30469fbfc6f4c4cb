"""Train one run with one seed."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)
    # torch reads the lease when it is imported
    import pandas as pd

    from visemix.clips.mixture import read_mixture
    from visemix.training.launch import launch
    from visemix.training.loop import train
    from visemix.training.settings import recogniser_config, training_config

    visemes = pd.read_parquet(snakemake.input.visemes).sort_values("word")
    targets = visemes.multi_hot.to_list()
    folder = Path(snakemake.output.model).parent
    mixture = read_mixture(snakemake.input.mixture)
    training = training_config(snakemake.params.training, mixture)
    launch(
        train,
        training.processes,
        run_folder=folder,
        mixture=mixture,
        validation_folder=Path(snakemake.input.validation).parent,
        words=visemes.word.to_list(),
        viseme_targets=None if snakemake.params.model["viseme_branch"] == "none" else targets,
        model_config=recogniser_config(snakemake.params.model, len(targets), len(targets[0])),
        training=training,
        seed=int(snakemake.wildcards.seed),
        device=device_name(),
        checkpoint_folder=Path("checkpoints") / folder.relative_to("runs"),
    )
