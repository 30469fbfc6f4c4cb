"""From the sections of params.yaml to the configurations of network and training."""

from visemix.clips.augmentation import Augmentation
from visemix.clips.mixture import expand_mixture
from visemix.clips.sampler import steps_per_epoch
from visemix.models.dctcn import DCTCNConfig
from visemix.models.word_recogniser import RecogniserConfig
from visemix.training.config import TrainingConfig


def recogniser_config(model: dict, n_words: int, n_visemes: int) -> RecogniserConfig:
    """Configuration of the network from `papers.cells.model_settings` and the label sizes."""
    no_tafm = model["tafm_on"] == "none"
    return RecogniserConfig(
        n_words=n_words,
        n_visemes=n_visemes,
        input_size=model["input_size"],
        width=model["width"],
        tsm_ratios=tuple(model["temporal_shift"]),
        pooling=model["pooling"],
        backend=DCTCNConfig(
            layers=(model["layers"],) * model["blocks"],
            growth=model["growth"],
            reduced=model["reduced"],
            kernels=tuple(model["kernels"]),
            dilations=tuple(model["dilations"]),
            dropout=model["dropout"],
            squeeze=model["squeeze_excitation"],
        ),
        viseme_branch=model["viseme_branch"],
        tafm_on=model["tafm_on"],
        **({} if no_tafm else {"gamma": model["gamma"], "lambda_": model["lambda"]}),
    )


def training_config(training: dict, mixture: dict) -> TrainingConfig:
    """Configuration of the training from the section `training` of params.yaml.

    With `equal` 'epochs', the training sees its mixture as many epochs as `steps` see the real
    clips alone; with 'updates' it takes `steps` updates, whatever it is trained on.
    """
    settings = dict(training)
    if settings["equal"] == "epochs":
        settings["steps"] = steps_of_equal_epochs(
            mixture, training["steps"], training["batch_size"]
        )
    jitter = settings.pop("colour_jitter")
    augmentation = Augmentation(
        brightness=jitter,
        contrast=jitter,
        time_mask=settings.pop("time_mask"),
        mixup=settings.pop("mixup"),
        label_smoothing=settings.pop("label_smoothing"),
        subtract_mean_frame=settings.pop("subtract_mean_frame"),
    )
    return TrainingConfig(**settings, augmentation=augmentation)


def steps_of_equal_epochs(mixture: dict, steps: int, batch_size: int) -> int:
    """Updates that show `mixture` as often as `steps` updates show its real clips alone."""
    entries = len(expand_mixture(mixture)[0])
    real = next(s["clips"] for s in mixture["sources"] if s["role"] == "real")
    epochs = steps / steps_per_epoch(real, batch_size)
    return max(1, round(epochs * steps_per_epoch(entries, batch_size)))
