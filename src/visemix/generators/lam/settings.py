"""The settings of a LAM's training: the section generators.lam of params.yaml."""

from dataclasses import dataclass, fields

from visemix.generators.lam.losses import CONFIGURATIONS
from visemix.generators.lam.model import LamConfig


@dataclass(frozen=True)
class LamTraining:
    """How to train. The defaults are the paper's (section 4.3) where it says them.

    Attributes:
        steps: updates of each network. 70 epochs of LRW at 96 clips a step.
        batch_size: clips a step (32 GPUs with 3 each).
        micro_batch: clips of a step that are drawn, and whose activations are in memory, at once
            (the paper's 3 a GPU); None or no fewer than batch_size: all. The step is the same up to
            rounding, see step.update. At the default sizes autograd saves 53 MB a frame in the
            generator and 2.2 MB a frame and 2.3 MB a sampled frame in the discriminators, in float
            32: 1.6 GB for a clip of 29 frames, 4.2 GB for one of 75; a whole batch of 96 of LRW's
            clips would need 158 GB. Counted with torch.autograd.graph.saved_tensors_hooks on a clip
            of 2 frames and of 4, each storage once and without the weights.
        frames: of the stretch of a clip that a step sees, whose first frame drives it.
        sampled_frames: S(v), the frames of each clip that D_img sees (unstated).
        learning_rate: of Adam for the generator and D_img; sequence_learning_rate: for D_seq.
        beta1: of Adam (unstated); cosine: the rates fall to 0 at the end instead of staying.
        reconstruction_weight, image_weight, sequence_weight: lambda_rec, lambda_disc of D_img and
            of D_seq.
        adversarial_start: step at which both discriminators and the lip reader join (the paper
            names none: 0).
        speech_steps: first steps, in which the speech encoder alone learns, from the movement of
            coarse pictures of all frames (the paper has none: 0).
        drawn_frames: before adversarial_start only so many frames of each stretch, drawn at random,
            are made and compared: the same loss, estimated from fewer frames. None makes all.
        configuration: baseline, V, L or VL: the terms of the VSR perceptual loss that count;
            visual_weight, logits_weight: their weights.
        validate_every: steps between measures on held-out clips; validation_clips: how many of
            them, at the start and the end as well.
        checkpoint_seconds: time between checkpoints; it has no part in the result.
        threads: CPU threads; another number gives other bits.
    """

    steps: int = 356391
    batch_size: int = 96
    micro_batch: int | None = None
    frames: int = 75
    sampled_frames: int = 8
    learning_rate: float = 1e-4
    sequence_learning_rate: float = 1e-5
    beta1: float = 0.5
    cosine: bool = False
    reconstruction_weight: float = 300.0
    image_weight: float = 1.0
    sequence_weight: float = 0.2
    adversarial_start: int = 0
    speech_steps: int = 0
    drawn_frames: int | None = None
    configuration: str = "baseline"
    visual_weight: float = 250.0
    logits_weight: float = 10.0
    validate_every: int = 5000
    validation_clips: int = 200
    checkpoint_seconds: float = 600.0
    threads: int = 8

    def __post_init__(self):
        for name in ("steps", "batch_size", "micro_batch", "frames", "sampled_frames",
                     "drawn_frames", "validate_every", "validation_clips", "threads"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        for name in ("learning_rate", "sequence_learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.configuration not in CONFIGURATIONS:
            known = ", ".join(CONFIGURATIONS)
            raise ValueError(f"configuration is {self.configuration!r}; it must be one of {known}")

    @property
    def vsr_weights(self) -> dict[str, float]:
        """Weights of the terms of the VSR perceptual loss."""
        visual, logits = CONFIGURATIONS[self.configuration]
        return {"visual": visual * self.visual_weight, "logits": logits * self.logits_weight}


def split_settings(settings: dict) -> tuple[LamConfig, LamTraining]:
    """Network and training of one flat section. Raises ValueError for an unknown key."""
    parts = []
    settings = dict(settings)
    for kind in (LamConfig, LamTraining):
        names = [field.name for field in fields(kind) if field.name in settings]
        parts.append(kind(**{name: settings.pop(name) for name in names}))
    if settings:
        raise ValueError(f"unknown setting {sorted(settings)[0]!r} of the generator lam")
    return tuple(parts)
