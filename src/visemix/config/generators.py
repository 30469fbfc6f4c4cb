"""What the generators that learn learn with: a section each.

It does not know the names of other generators: a new one changes no code that these depend on.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from visemix.config.section import (
    NaturalInt,
    NotNegative,
    Positive,
    PositiveInt,
    Proportion,
    Section,
)

Momentum = Annotated[float, Field(ge=0, lt=1)]


class Lam(Section):
    """`lam` and its variants: SynthVSR's lip animation network (CVPR 2023, 3.2 and 4.3). Its layers
    are in a supplement that is not available: all sizes are our choice."""

    channels: Annotated[list[PositiveInt], Field(min_length=1, max_length=5)] = [
        512, 512, 256, 128, 64,
    ]  # fmt: skip
    """Channels of encoder and decoder at 6, 12, 24, 48 and 96 px. A shorter list ends at the
    coarser side; what is drawn there is scaled up."""
    image_code: PositiveInt = 256
    """Length of the image code z_i."""
    speech_code: PositiveInt = 256
    """Length of the speech code z_s."""
    rotation_code: PositiveInt = 16
    """Length of the rotation code z_r."""
    speech_channels: PositiveInt = 128
    """Channels of the speech encoder's first 1D convolution, doubled once."""
    speech_layers: PositiveInt = 2
    """Layers of the speech encoder's GRU."""
    discriminator_channels: PositiveInt = 64
    """Channels of the first layer of both discriminators, doubled by layer."""
    warp: bool = False
    """Whether the first frame's pixels are also moved, before the change is added to them. Our
    addition: far fewer steps show movement."""
    steps: PositiveInt = 356_391
    """Updates of each network; 356,391 are 70 epochs of LRW alone at 96 clips a step."""
    batch_size: PositiveInt = 96
    """Clips a step; the paper: 32 GPUs with 3 clips each."""
    micro_batch: PositiveInt | None = 8
    """Clips of a step that are drawn at once, in memory that grows with them: at paper size 1.6 GB
    for each clip of LRW's 29 frames and 4.2 GB for one of 75; null: all. Only rounding depends on
    it."""
    frames: PositiveInt = 75
    """Frames of the stretch of a clip that a step reads; shorter clips are read whole."""
    sampled_frames: PositiveInt = 8
    """Frames of each clip that the discriminator of frames reads, S(v); unstated."""
    learning_rate: Positive = 0.0001
    """Of Adam, for the generator and the discriminator of frames."""
    sequence_learning_rate: Positive = 0.00001
    """Of Adam, for the discriminator of sequences."""
    beta1: Momentum = 0.5
    """Of Adam; unstated."""
    cosine: bool = False
    """Whether the learning rates fall to 0 at the end along a cosine; unstated."""
    reconstruction_weight: NotNegative = 300
    """Weight of the L1 loss, lambda_rec."""
    image_weight: NotNegative = 1
    """Weight of the adversarial loss of frames."""
    sequence_weight: NotNegative = 0.2
    """Weight of the adversarial loss of sequences."""
    speech_steps: NaturalInt = 0
    """First steps, in which the speech encoder alone learns, from the movement of coarse pictures.
    Our addition; the paper has none: 0."""
    drawn_frames: PositiveInt | None = None
    """Frames of each stretch, drawn at random, that are made and compared before adversarial_start;
    null: all. Our addition: the same loss, estimated from fewer frames."""
    adversarial_start: NaturalInt = 0
    """Step at which the discriminators and the lip reader join, on whole stretches. Our addition;
    the paper names none: 0."""
    visual_weight: NotNegative = 250
    """Weight of the VSR perceptual loss of visual features, in lam-v and lam-vl."""
    logits_weight: NotNegative = 10
    """Weight of the VSR perceptual loss of logits, in lam-l and lam-vl."""
    validate_every: PositiveInt = 5000
    """Steps between measurements on held-out clips, which select nothing."""
    validation_clips: PositiveInt = 200
    """Held-out clips that are measured."""
    checkpoint_seconds: Positive = 600
    """Seconds between checkpoints; does not change the result."""


class Wav2Lip(Section):
    """`wav2lip` and `wav2lip-gan` (Prajwal et al., ACM MM 2020): sizes, weights and rates are those
    of the paper and its public training code."""

    size: Literal[24, 48, 96] = 96
    """Side in pixels at which the networks work; crops are scaled from and to 96."""
    width: PositiveInt = 16
    """Channels of the generator's first layer, doubled at every halving of the picture."""
    expert_width: PositiveInt = 32
    """Channels of the first layer of the sync expert (SyncNet)."""
    discriminator_width: PositiveInt = 32
    """Channels of the first layer of the quality discriminator (wav2lip-gan)."""
    hidden_from: Annotated[int, Field(ge=0, le=48, multiple_of=4)] = 48
    """First row of the 96 px crop that is hidden from the generator and drawn anew; 48: the lower
    half, our reading of the paper's lower half of a face."""
    draw_change: bool = False
    """Whether the generator draws the change to the reference crop instead of the crop. Our choice,
    for few steps."""
    expert_audio: bool = False
    """Whether the generator uses the sync expert's audio encoder, left unchanged, instead of one of
    its own. Our choice, for few clips."""
    expert_subtract_mean_frame: bool = False
    """Whether the sync expert reads the five frames of a window less their mean: movement, not
    looks. Our choice, for few speakers."""
    expert_steps: PositiveInt = 200_000
    """Updates of the sync expert; unstated."""
    expert_batch_size: Annotated[int, Field(ge=2)] = 64
    """Windows of five frames a step of the sync expert, half of them out of sync."""
    expert_learning_rate: Positive = 0.0001
    """Of the sync expert's Adam."""
    steps: PositiveInt = 200_000
    """Updates of the generator; unstated."""
    batch_size: PositiveInt = 16
    """Windows of five frames a step of the generator."""
    learning_rate: Positive = 0.0001
    """Of Adam, for generator and quality discriminator."""
    beta1: Momentum = 0.9
    """Of Adam in wav2lip; wav2lip-gan has 0.5, as in its published script."""
    sync_weight: Proportion = 0.03
    """Weight of the sync expert's loss once its mean on the validation split is below
    sync_threshold; 0 before."""
    sync_threshold: NotNegative = 0.75
    """Mean loss of the sync expert on the validation split below which sync_weight applies."""
    gan_weight: Proportion = 0.07
    """Weight of the quality discriminator's loss (wav2lip-gan only)."""
    cosine: bool = False
    """Whether both learning rates fall to 0 along a cosine; published: constant."""
    validate_every: PositiveInt = 3000
    """Steps between validations of the sync expert and of the generator."""
    validation_clips: PositiveInt = 2000
    """Clips of the validation split, evenly spread, for the losses of expert and generator."""
    checkpoint_seconds: Positive = 600
    """Seconds between checkpoints; does not change the result."""

    @property
    def first_hidden(self) -> int:
        """First row of the networks' picture that is hidden."""
        return self.hidden_from * self.size // 96

    @property
    def band(self) -> slice:
        """Rows of the networks' picture that expert and discriminator read: half of them."""
        return slice(self.first_hidden, self.first_hidden + self.size // 2)

    @model_validator(mode="after")
    def weights_leave_room(self):
        if self.sync_weight + self.gan_weight >= 1:
            raise ValueError(
                f"generators.wav2lip.sync_weight + gan_weight = "
                f"{self.sync_weight + self.gan_weight:g}; keep the sum below 1"
            )
        return self


class Aniportrait(Section):
    """`aniportrait-small`: a diffusion model of our own after AniPortrait; all values are our
    choice."""

    size: PositiveInt = 64
    """Side in pixels at which the square around the mouth is drawn."""
    patch: PositiveInt = 2
    """Side of the pixels that share a place of the finest features."""
    channels: Annotated[list[Annotated[int, Field(ge=4, multiple_of=4)]], Field(min_length=1)] = [
        128, 256, 384,
    ]  # fmt: skip
    """Channels of the U-Net, from fine to coarse, each side half the one before."""
    blocks: PositiveInt = 2
    """Residual blocks of each side, on the way down and up."""
    steps: PositiveInt = 200_000
    """Updates of the network."""
    batch_size: PositiveInt = 16
    """Clips a step."""
    frames: PositiveInt = 8
    """Frames of each clip, besides the one that is the reference."""
    learning_rate: Positive = 0.0002
    """Of Adam at its highest; falls to 0 along a cosine."""
    hidden_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Proportion of the frames whose mesh is hidden, for the guidance."""
    sampling_steps: PositiveInt = 8
    """Steps of DDIM, from noise to picture."""
    guidance: Annotated[float, Field(ge=1)] = 2.5
    """Factor by which the change that the mesh makes is enlarged; 1: not enlarged."""
    validate_every: PositiveInt = 5000
    """Steps between measurements on held-out clips, which select nothing."""
    validation_clips: PositiveInt = 200
    """Held-out clips that are measured."""
    checkpoint_seconds: Positive = 600
    """Seconds between checkpoints; does not change the result."""

    @model_validator(mode="after")
    def sides_are_whole(self):
        if self.size % (step := self.patch * 2 ** (len(self.channels) - 1)):
            raise ValueError(
                f"generators.aniportrait.size {self.size} must be a multiple of {step}, see patch, "
                "channels"
            )
        return self
