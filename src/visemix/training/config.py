"""The parameters of a training."""

from dataclasses import dataclass, field

from visemix.clips.augmentation import Augmentation


@dataclass(frozen=True)
class TrainingConfig:
    """How to train. The defaults are LipGen's (arXiv 2501.04204, III-B) where it says them.

    Attributes:
        steps: optimiser steps; the cosine schedule ends there.
        equal: what trainings on other mixtures have in common with this one, by which `steps` was
            chosen ("updates" | "epochs"); for the record.
        learning_rate: of Adam, reached after `warm_up` steps of linear increase.
        weight_decay: decoupled from the gradient (AdamW) where `decoupled_decay` says so.
        viseme_weight: weight of the viseme loss beside the word loss.
        validate_every: steps between validations; the last step is always validated.
        checkpoint_seconds: time between checkpoints; it has no part in the result.
        processes: that share each batch in equal parts, one a GPU; like threads, another number
            gives other bits.
        threads: CPU threads of a process; another number gives other bits.
        deterministic: let torch use deterministic kernels only.
    """

    steps: int
    equal: str = "updates"
    batch_size: int = 32
    learning_rate: float = 3e-4
    warm_up: int = 0
    weight_decay: float = 0.0
    decoupled_decay: bool = True
    viseme_weight: float = 1.0
    validate_every: int = 100
    checkpoint_seconds: float = 60.0
    processes: int = 1
    threads: int = 1
    deterministic: bool = True
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self):
        for name in ("steps", "batch_size", "validate_every", "processes", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("warm_up", "weight_decay", "viseme_weight", "checkpoint_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")
        if self.batch_size % self.processes:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {self.processes} processes "
                "equally; make it a multiple"
            )
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")
