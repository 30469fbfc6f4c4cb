"""The section `training`: how the word recogniser is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from visemix.config.section import NaturalInt, NotNegative, Positive, PositiveInt, Section


class Training(Section):
    """Optimiser, schedule and augmentation (LipGen, III-B; unstated values as in Ma et al., arXiv
    2209.01383)."""

    steps: PositiveInt = 1_527_300
    """Optimiser steps on the real clips alone; 1,527,300 are 100 epochs of LRW at 32 clips a
    step."""
    equal: Literal["epochs", "updates"] = "epochs"
    """What trainings on a mixture have in common with those on the real clips alone: epochs
    (LipGen, III-B: 100 epochs of the mixture), or updates, the control: `steps` for all."""
    batch_size: Annotated[int, Field(ge=2)] = 32
    """Clips a step; a multiple of processes."""
    learning_rate: Positive = 0.0003
    """Of Adam at its highest; falls to 0 along a cosine."""
    weight_decay: NotNegative = 0.0
    """Weight decay, decoupled from the gradient (AdamW)."""
    warm_up: NaturalInt = 0
    """First steps, in which the learning rate rises linearly."""
    mixup: NotNegative = 0.4
    """alpha of mixup's Beta(alpha, alpha); 0: off. Unstated; Ma et al. use 0.4."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """epsilon of label smoothing; 0: off. Unstated."""
    colour_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Brightness and contrast are multiplied by factors in 1 +- this; 0: off. Unstated."""
    time_mask: NaturalInt = 15
    """Frames; the masked stretch of a clip is shorter than this, as in Ma et al.; 0: off."""
    subtract_mean_frame: bool = False
    """Whether the clip's mean frame is taken away from the network's input: movement, not looks.
    Our addition, for few speakers."""
    viseme_weight: NotNegative = 1.0
    """Weight of the viseme branch's loss beside the word loss; unstated."""
    validate_every: PositiveInt = 15273
    """Steps between validations on the real clips alone; a mixture at equal epochs is validated as
    often in all. The best model on the validation split is kept."""
    checkpoint_seconds: Positive = 600
    """Seconds between checkpoints; does not change the result."""
    processes: PositiveInt = 1
    """Processes that share each batch equally, a GPU each; another number rounds otherwise."""
    threads: PositiveInt = 8
    """CPU threads of one process; on a CPU another number rounds otherwise."""

    @model_validator(mode="after")
    def processes_share_batches_equally(self):
        if self.batch_size % self.processes:
            raise ValueError(
                f"training.batch_size {self.batch_size} cannot be shared by {self.processes} "
                "processes equally; make it a multiple of training.processes"
            )
        return self
