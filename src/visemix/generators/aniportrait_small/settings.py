"""The settings of a training: the section generators.aniportrait of params.yaml."""

from dataclasses import dataclass, fields

from visemix.generators.aniportrait_small.unet import UNetConfig


@dataclass(frozen=True)
class Training:
    """How to train and how to sample; all values are our choice (see renderer for why).

    Attributes:
        steps: updates of the network, at a learning rate that falls to 0 along a cosine.
        batch_size: clips a step; frames: drawn of each, beside the one that is the reference.
        learning_rate: of Adam, at its highest.
        hidden_share: of the frames of a step whose mesh is hidden, for the guidance.
        sampling_steps: of DDIM, from noise to picture; guidance: see renderer.
        validate_every: steps between measures on held-out clips, which select nothing;
            validation_clips: how many, at the start and the end as well.
        checkpoint_seconds: time between checkpoints; it has no part in the result.
        threads: CPU threads; another number gives other bits.
    """

    steps: int = 200000
    batch_size: int = 16
    frames: int = 8
    learning_rate: float = 2e-4
    hidden_share: float = 0.1
    sampling_steps: int = 8
    guidance: float = 2.5
    validate_every: int = 5000
    validation_clips: int = 200
    checkpoint_seconds: float = 600.0
    threads: int = 8

    cosine = True  # what the loop of the steps asks for

    def __post_init__(self):
        for field in fields(self):
            if (value := getattr(self, field.name)) <= 0:
                raise ValueError(f"{field.name} is {value}; it must be positive")


def split_settings(settings: dict) -> tuple[UNetConfig, Training]:
    """Network and training of one flat section. Raises ValueError for an unknown key."""
    parts = []
    settings = dict(settings)
    for kind in (UNetConfig, Training):
        names = [field.name for field in fields(kind) if field.name in settings]
        parts.append(kind(**{name: settings.pop(name) for name in names}))
    if settings:
        raise ValueError(f"unknown setting {sorted(settings)[0]!r} of generators.aniportrait")
    return tuple(parts)
