"""The parameters of Wav2Lip: sizes, losses and schedule."""

from dataclasses import dataclass

CROP = 96  # px: side of a mouth crop
T = 5  # frames in a window (200 ms of sound)
SIZES = (24, 48, 96)  # px: sides that halve to 3


@dataclass(frozen=True)
class Wav2LipConfig:
    """How to build and train a generator and its expert. The defaults are the published ones.

    Prajwal et al. (ACM MM 2020) and the public training code. Not published, and our choice: how
    many steps are made (there, training was stopped by hand at an expert loss of about 0.25).

    Attributes:
        size: side in px at which the networks see and draw a crop; crops are scaled from and to 96.
        width, expert_width, critic_width: channels of the first layer of generator, expert and
            quality discriminator; doubled at every halving of the picture, up to 32 (16) times.
        hidden_from: first row of a 96 px crop that is hidden from the generator. 48 is the lower
            half, our reading of the paper's lower half of a face. Expert and discriminator look at
            the 48 rows from there on.
        draw_change: let the generator draw the change to the reference crop, so that untrained it
            draws about that crop; published: the crop itself. Few steps need it (our choice).
        expert_audio: let the generator hear with the expert's audio encoder, which stays as it is;
            published: with one of its own, learnt from nothing. Few clips need it (our choice).
        expert_subtract_mean_frame: show the expert the five frames of a window less their mean:
            movement, not looks; published: as they are. Few speakers need it (our choice).
        expert_steps, expert_batch_size, expert_learning_rate: training of the expert.
        steps, batch_size, learning_rate: training of the generator; a batch counts windows of 5
            frames.
        beta1: of the plain variant's Adam; the GAN variant's is 0.5, as in its published script.
        sync_weight: weight of the expert's loss once its mean on held-out clips falls below
            sync_threshold; before, it is 0.
        gan_weight: weight of the quality discriminator's loss in the GAN variant.
        cosine: let both learning rates fall to 0 along a cosine; few steps need it, because the
            running statistics of batch normalisation lag behind weights that move fast. Published:
            constant.
        validate_every: steps between validations, of the expert and of the generator;
            validation_clips: held-out clips that each of them looks at, evenly spread, or all.
        checkpoint_seconds: time between checkpoints; it has no part in the result.
        threads: CPU threads; another number gives other bits.
    """

    size: int = 96
    width: int = 16
    expert_width: int = 32
    critic_width: int = 32
    hidden_from: int = 48
    draw_change: bool = False
    expert_audio: bool = False
    expert_subtract_mean_frame: bool = False
    expert_steps: int = 200000
    expert_batch_size: int = 64
    expert_learning_rate: float = 1e-4
    steps: int = 200000
    batch_size: int = 16
    learning_rate: float = 1e-4
    beta1: float = 0.9
    sync_weight: float = 0.03
    sync_threshold: float = 0.75
    gan_weight: float = 0.07
    validate_every: int = 3000
    validation_clips: int = 2000
    checkpoint_seconds: float = 600.0
    cosine: bool = False
    threads: int = 8

    def __post_init__(self):
        if self.size not in SIZES:
            raise ValueError(f"size is {self.size}; it must be one of {SIZES}")
        if not 0 <= self.hidden_from <= CROP // 2 or self.hidden_from * self.size % CROP:
            raise ValueError(
                f"hidden_from is {self.hidden_from}; it must be 0 to {CROP // 2} and a whole row "
                f"at size {self.size}"
            )
        for name in (
            "width", "expert_width", "critic_width", "expert_steps", "expert_batch_size", "steps",
            "batch_size", "validate_every", "validation_clips", "threads",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if min(self.expert_learning_rate, self.learning_rate) <= 0:
            raise ValueError("learning rates must be positive")
        if not 0 <= self.beta1 < 1:
            raise ValueError(f"beta1 is {self.beta1}; it must be 0 or more and below 1")
        if not 0 <= self.sync_weight + self.gan_weight < 1 or self.sync_weight < 0:
            raise ValueError("sync_weight and gan_weight must be 0 or more, their sum below 1")

    @property
    def first_hidden(self) -> int:
        """First row of the network's picture that is hidden."""
        return self.hidden_from * self.size // CROP

    @property
    def band(self) -> slice:
        """Rows of the network's picture that expert and discriminator see: half of them."""
        return slice(self.first_hidden, self.first_hidden + self.size // 2)
