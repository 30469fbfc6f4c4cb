"""Train one run with one seed."""

from pathlib import Path

from visemix.run.gpus import device_name, lease_gpus
from visemix.run.log import log_to

if __name__ == "__main__":
    log_to(snakemake.log[0])
    lease_gpus(snakemake.resources.gpu)  # torch reads the lease when it is imported
    import pandas as pd

    from visemix.clips.mixture import read_mixture
    from visemix.config.model import Recogniser
    from visemix.config.training import Training
    from visemix.training.launch import launch
    from visemix.training.words import equalised, train

    visemes = pd.read_parquet(snakemake.input.visemes).sort_values("word")
    targets = visemes.multi_hot.to_list()
    config = Recogniser(**snakemake.params.model, n_words=len(targets), n_visemes=len(targets[0]))
    folder, mixture = Path(snakemake.output.model).parent, read_mixture(snakemake.input.mixture)
    training = equalised(Training(**snakemake.params.training), mixture)
    launch(
        train, training.processes, run_folder=folder, mixture=mixture, words=visemes.word.to_list(),
        validation_folder=Path(snakemake.input.validation).parent,
        viseme_targets=None if config.viseme_branch == "none" else targets,
        config=config, training=training, seed=int(snakemake.wildcards.seed), device=device_name(),
        checkpoint_folder=Path("checkpoints") / folder.relative_to("runs"),
    )  # fmt: skip
