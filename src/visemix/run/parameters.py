"""params.yaml: what may stand in it, how a scale is resolved, and clear words when it is wrong.

The order is: the values of the file, the block of the chosen `scale`, then `overrides`.
"""

import copy
import difflib
import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from visemix.generators import GENERATORS, external
from visemix.papers.mixture_runs import repeats_value

Share = Annotated[float, Field(ge=0, le=1)]
PositiveInt = Annotated[int, Field(ge=1)]


class ParameterError(ValueError):
    """params.yaml is wrong; the message lists every problem as key, value and remedy."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)


class ClipsPerWord(Section):
    train: PositiveInt
    val: PositiveInt
    test: PositiveInt


class Corpus(Section):
    name: Literal["miniature", "lrw"]
    root: str
    words: list[str] | None
    clips_per_word: ClipsPerWord | None
    seed: int

    @model_validator(mode="after")
    def miniature_is_complete(self):
        if self.name == "miniature" and not (self.words and self.clips_per_word):
            raise ValueError("the miniature corpus needs corpus.words and corpus.clips_per_word")
        if self.words and len(set(self.words)) != len(self.words):
            raise ValueError("corpus.words names a word twice; remove one of them")
        return self


class Crops(Section):
    alignment: Literal["retinaface", "fixed"]
    detector: Literal["mobilenet0.25", "resnet50"]
    detector_weights: str | None
    detector_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    score: Share
    detect_every: PositiveInt
    longest_side: Annotated[int, Field(ge=64)]
    max_missing_share: Share
    eye_to_mouth: Annotated[float, Field(ge=16, le=192)]
    smoothing_window: PositiveInt

    @model_validator(mode="after")
    def window_is_centred(self):
        if self.smoothing_window % 2 == 0:
            raise ValueError(
                f"crops.smoothing_window is {self.smoothing_window}; take an odd number of frames"
            )
        return self

    @model_validator(mode="after")
    def weights_belong_to_the_detector(self):
        given = (self.detector_weights, self.detector_sha256)
        if self.detector == "resnet50" and not all(given):
            raise ValueError(
                "crops.detector resnet50 needs crops.detector_weights, a file with the ResNet-50 "
                "weights of retinaface-pytorch, and crops.detector_sha256, what `sha256sum` says "
                "of that file; or take crops.detector: mobilenet0.25"
            )
        if self.detector != "resnet50" and any(given):
            raise ValueError(
                "crops.detector_weights and crops.detector_sha256 are for crops.detector: resnet50 "
                f"only; {self.detector} brings its own weights: make both null"
            )
        return self


class Visemes(Section):
    map: str
    pronunciations: str | None


class Pose(Section):
    angles: Annotated[list[Annotated[float, Field(gt=0, le=90)]], Field(min_length=1)]
    untouched_share: Share
    two_axes_share: Share
    seed: Annotated[int, Field(ge=0)]


class Synthesis(Section):
    generator: Literal[tuple(GENERATORS)]
    portraits: str
    portrait_source: Literal["folder", "ffhq", "vggface", "vggface2", "celeba"]
    rendered_portraits: Annotated[int, Field(ge=0)]
    clips_per_portrait: PositiveInt
    clips: PositiveInt | None
    parts: PositiveInt
    min_face_share: Share
    seed: int

    @model_validator(mode="after")
    def rendered_portraits_are_a_folder(self):
        if self.rendered_portraits and self.portrait_source != "folder":
            raise ValueError(
                f"synthesis.portrait_source is {self.portrait_source!r}, but "
                f"{self.rendered_portraits} portraits are to be rendered; set "
                "synthesis.rendered_portraits to 0, or portrait_source to folder"
            )
        return self


class External(Section):
    """A published generator as the user has installed it; see generators.external."""

    repository: Annotated[str, Field(min_length=1)]
    python: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)]
    weights: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None] = {}
    timeout_seconds: Annotated[float, Field(gt=0)] = 1800.0
    jobs: PositiveInt = 1


class Lam(Section):
    """See generators.lam.settings and generators.lam.model."""

    channels: Annotated[list[PositiveInt], Field(min_length=1, max_length=5)]
    image_code: PositiveInt
    speech_code: PositiveInt
    rotation_code: PositiveInt
    speech_channels: PositiveInt
    speech_layers: PositiveInt
    discriminator_channels: PositiveInt
    warp: bool
    steps: PositiveInt
    batch_size: PositiveInt
    micro_batch: PositiveInt | None
    frames: PositiveInt
    sampled_frames: PositiveInt
    learning_rate: Annotated[float, Field(gt=0)]
    sequence_learning_rate: Annotated[float, Field(gt=0)]
    beta1: Annotated[float, Field(ge=0, lt=1)]
    cosine: bool
    reconstruction_weight: Annotated[float, Field(ge=0)]
    image_weight: Annotated[float, Field(ge=0)]
    sequence_weight: Annotated[float, Field(ge=0)]
    speech_steps: Annotated[int, Field(ge=0)]
    drawn_frames: PositiveInt | None
    adversarial_start: Annotated[int, Field(ge=0)]
    visual_weight: Annotated[float, Field(ge=0)]
    logits_weight: Annotated[float, Field(ge=0)]
    validate_every: PositiveInt
    validation_clips: PositiveInt
    checkpoint_seconds: Annotated[float, Field(gt=0)]


class Wav2Lip(Section):
    """See generators.wav2lip.config."""

    size: Literal[24, 48, 96]
    width: PositiveInt
    expert_width: PositiveInt
    critic_width: PositiveInt
    hidden_from: Annotated[int, Field(ge=0, le=48, multiple_of=4)]
    draw_change: bool
    expert_audio: bool
    expert_subtract_mean_frame: bool
    expert_steps: PositiveInt
    expert_batch_size: Annotated[int, Field(ge=2)]
    expert_learning_rate: Annotated[float, Field(gt=0)]
    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: Annotated[float, Field(gt=0)]
    beta1: Annotated[float, Field(ge=0, lt=1)]
    sync_weight: Share
    sync_threshold: Annotated[float, Field(ge=0)]
    gan_weight: Share
    cosine: bool
    validate_every: PositiveInt
    validation_clips: PositiveInt
    checkpoint_seconds: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def weights_leave_room(self):
        if self.sync_weight + self.gan_weight >= 1:
            raise ValueError(
                f"generators.wav2lip.sync_weight + gan_weight = "
                f"{self.sync_weight + self.gan_weight:g}; keep the sum below 1"
            )
        return self


class Aniportrait(Section):
    """See generators.aniportrait_small.settings and generators.aniportrait_small.unet."""

    size: PositiveInt
    patch: PositiveInt
    channels: Annotated[list[PositiveInt], Field(min_length=1)]
    blocks: PositiveInt
    steps: PositiveInt
    batch_size: PositiveInt
    frames: PositiveInt
    learning_rate: Annotated[float, Field(gt=0)]
    hidden_share: Annotated[float, Field(gt=0, lt=1)]
    sampling_steps: PositiveInt
    guidance: Annotated[float, Field(ge=1)]
    validate_every: PositiveInt
    validation_clips: PositiveInt
    checkpoint_seconds: Annotated[float, Field(gt=0)]


class Generators(Section):
    """What generators are trained with: a section each, see `trained_settings`."""

    compared: Annotated[list[Literal[tuple(GENERATORS)]], Field(min_length=1)]
    evaluation_clips: PositiveInt | None
    seed: int
    threads: PositiveInt
    lip_reader: str
    lam: Lam
    wav2lip: Wav2Lip
    aniportrait: Aniportrait


class Mixing(Section):
    redraw: Literal["fixed", "epoch"]
    seed: int


class Model(Section):
    width: PositiveInt
    input_size: Annotated[int, Field(ge=16, le=88)]
    temporal_shift: Annotated[
        list[Annotated[float, Field(ge=0, le=0.5)]], Field(min_length=4, max_length=4)
    ]
    blocks: PositiveInt
    layers: PositiveInt
    growth: PositiveInt
    reduced: PositiveInt
    kernels: Annotated[list[PositiveInt], Field(min_length=1)]
    dilations: Annotated[list[PositiveInt], Field(min_length=1)]
    squeeze_excitation: Annotated[int, Field(ge=0)]
    dropout: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def sizes_fit(self):
        if len(self.dilations) != self.layers:
            raise ValueError(
                f"model.dilations has {len(self.dilations)} entries for model.layers = "
                f"{self.layers}; give one a layer"
            )
        if self.growth % len(self.kernels):
            raise ValueError(
                f"model.growth = {self.growth} cannot be shared by {len(self.kernels)} branches; "
                "take a multiple of the number of model.kernels"
            )
        if any(k % 2 == 0 for k in self.kernels):
            raise ValueError(f"model.kernels = {self.kernels}: kernels must be odd")
        return self


class Training(Section):
    steps: PositiveInt
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    warm_up: Annotated[int, Field(ge=0)]
    mixup: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    colour_jitter: Annotated[float, Field(ge=0, lt=1)]
    time_mask: Annotated[int, Field(ge=0)]
    subtract_mean_frame: bool
    viseme_weight: Annotated[float, Field(ge=0)]
    validate_every: PositiveInt
    checkpoint_seconds: Annotated[float, Field(gt=0)]
    processes: PositiveInt
    threads: PositiveInt

    @model_validator(mode="after")
    def processes_share_batches_equally(self):
        if self.batch_size % self.processes:
            raise ValueError(
                f"training.batch_size {self.batch_size} cannot be shared by {self.processes} "
                "processes equally; make it a multiple of training.processes"
            )
        return self


class Evaluation(Section):
    batch_size: PositiveInt
    rejected_are_errors: bool
    threads: PositiveInt


Generator = Synthesis.model_fields["generator"].annotation


def _repeats(value) -> str:
    return str(repeats_value(value))


class Beta(Section):
    run: str
    generators: Annotated[list[Generator], Field(min_length=1)]
    repeats: list[Annotated[str, BeforeValidator(_repeats)]]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    control: Annotated[list[Literal["updates", "epochs"]], Field(min_length=1)]
    shares: Annotated[list[Annotated[int, Field(ge=1, le=99)]], Field(min_length=1)]
    samplings: Annotated[int, Field(ge=1, le=26)]

    @model_validator(mode="after")
    def real_clips_alone_are_among_them(self):
        if "inf" not in self.repeats or len(self.repeats) < 2:
            raise ValueError(
                f"beta.repeats is {self.repeats}; it needs .inf, the real clips alone, which every "
                "other N is compared with, and one N besides"
            )
        for name in ("repeats", "generators", "seeds", "control", "shares"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"beta.{name} names a value twice; remove one of them")
        return self


class Tracking(Section):
    uri: str | None
    experiment: str


class RunChange(Section):
    """Change of a single run; the keys of `runs` in papers/*.yaml."""

    temporal_shift: bool | None = None
    synthetic: bool | None = None
    repeats: Annotated[float, Field(ge=0)] | None = None
    viseme_branch: bool | None = None
    tafm: bool | None = None
    lambda_: float | None = Field(default=None, alias="lambda")
    gamma: Annotated[float, Field(gt=0)] | None = None


class Parameters(Section):
    scale: Literal["test", "miniature", "study", "paper"]
    papers: list[Literal["lipgen"]]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    corpus: Corpus
    crops: Crops
    visemes: Visemes
    pose: Pose
    synthesis: Synthesis
    external: dict[Literal[external.PROGRAMS], External]
    generators: Generators
    mixing: Mixing
    model: Model
    training: Training
    evaluation: Evaluation
    beta: Beta
    tracking: Tracking
    runs: dict[str, RunChange]

    @model_validator(mode="after")
    def external_generator_is_installed(self):
        external.settings_of(self.synthesis.generator, self.external)
        return self


def merge(base: dict, changes: dict) -> dict:
    """Lay `changes` over `base`; nested dictionaries are merged, everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def resolve_parameters(config: dict) -> dict:
    """Return the parameters of the chosen scale as a checked plain dictionary.

    `config` is the content of params.yaml. Raises ParameterError, naming each wrong key, its
    value and a remedy.
    """
    config = copy.deepcopy(dict(config))
    scales, overrides = config.pop("scales", {}), config.pop("overrides", {}) or {}
    scale = overrides.get("scale", config.get("scale"))
    if scale not in scales:
        raise ParameterError(f"scale: {scale!r} is unknown; choose one of {', '.join(scales)}")
    for name, block in {**scales, "overrides": overrides}.items():
        _check_keys(block, f"scales.{name}" if name in scales else name)
    merged = merge(merge(config, scales[scale]), _plain(overrides))
    try:
        checked = Parameters.model_validate(merged)
    except ValidationError as error:
        raise ParameterError("\n".join(_explain(e) for e in error.errors())) from None
    return checked.model_dump(mode="python", by_alias=True, exclude_none=False)


def trained_settings(generator: str, parameters: dict) -> dict:
    """What a generator is trained with: its section of `generators`, and threads.

    The section bears the generator's name up to the first '-': variants of one share it.
    """
    section = parameters["generators"][generator.partition("-")[0]]
    return {"threads": parameters["generators"]["threads"]} | section


def _plain(value):
    """Turn the texts 'null' and '.inf', as Snakemake's --config passes them on, into values."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return {"null": None, ".inf": math.inf}.get(value, value) if isinstance(value, str) else value


def flatten(parameters: dict, prefix: str = "") -> dict:
    """Turn nested parameters into {'training.steps': 600, ...}."""
    flat = {}
    for key, value in parameters.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _check_keys(block: dict, where: str, section: type[BaseModel] = Parameters) -> None:
    """Refuse unknown keys in a block that is laid over others, also in scales not chosen."""
    for key, value in block.items():
        if key not in section.model_fields:
            raise ParameterError(_unknown(f"{where}.{key}", key, list(section.model_fields)))
        inner = section.model_fields[key].annotation
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, BaseModel):
            _check_keys(value, f"{where}.{key}", inner)


def _unknown(path: str, key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
    return f"{path}: unknown key; {hint}"


_BY_NAME = {"runs": RunChange, "external": External}  # sections with names of the user's choice


def _explain(error: dict) -> str:
    path = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        section = Parameters
        for part in error["loc"][:-1]:
            inner = section.model_fields[part].annotation if part in section.model_fields else None
            section = inner if isinstance(inner, type) else _BY_NAME.get(error["loc"][0], section)
        names = [field.alias or name for name, field in section.model_fields.items()]
        return _unknown(path, str(error["loc"][-1]), names)
    if error["type"] == "missing":
        return f"{path}: missing; add it to params.yaml"
    if error["type"] == "value_error":
        return f"{path}: {error['ctx']['error']}"
    return f"{path}: {error['input']!r} is not allowed; {error['msg'].lower()}"
