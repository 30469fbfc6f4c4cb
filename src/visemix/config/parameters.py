"""All parameters: params.yaml, the file of the chosen scale over it, `overrides` over both."""

import copy
import math
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from visemix.config.beta import Beta
from visemix.config.corpus import Corpus
from visemix.config.crops import Crops
from visemix.config.evaluation import Evaluation
from visemix.config.external import External, settings_of
from visemix.config.generator_names import PROGRAMS, ROWS
from visemix.config.generator_settings import Generators
from visemix.config.messages import RENAMED, ParameterError, explain, wrong_keys
from visemix.config.model import Model
from visemix.config.pose import Pose
from visemix.config.runs import RunChange
from visemix.config.section import NaturalInt, Section
from visemix.config.synthesis import Mixing, Synthesis
from visemix.config.tracking import Tracking
from visemix.config.training import Training
from visemix.config.visemes import Visemes

PAPER = "paper"  # the scale that changes nothing

__all__ = [
    "ParameterError", "Parameters", "flatten", "merge", "present_names", "read_scales",
    "read_sections",
    "resolve_parameters", "trained_settings",
]  # fmt: skip


class Parameters(Section):
    """Every parameter of visemix; the defaults are the papers' values."""

    scale: str = "miniature"
    """File of scales/ that is laid over params.yaml, without its ending: test, miniature, study or
    one of your own; `paper` changes nothing."""
    papers: list[Literal["lipgen"]] = ["lipgen"]
    """Files of papers/ whose tables are made."""
    seeds: Annotated[list[NaturalInt], Field(min_length=1)] = [0]
    """One training of every run for each seed; tables show mean and spread over them."""
    corpus: Corpus = Corpus()
    crops: Crops = Crops()
    visemes: Visemes = Visemes()
    pose: Pose = Pose()
    synthesis: Synthesis = Synthesis()
    external: dict[Literal[PROGRAMS], External] = {}  # type: ignore[valid-type]  # names are data
    """Published generators, a section each: where they are installed."""
    generators: Generators = Generators()
    mixing: Mixing = Mixing()
    model: Model = Model()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    beta: Beta = Beta()
    tracking: Tracking = Tracking()
    runs: dict[str, RunChange] = {}
    """Changes to single runs of papers/*.yaml, e.g. `{lipgen-R6: {lambda: 0.3}}`."""

    @model_validator(mode="after")
    def external_generator_is_installed(self):
        for key, generators in (
            ("synthesis.generator", [self.synthesis.generator]),
            ("generators.compared", self.generators.compared),
            ("beta.generators", self.beta.generators),
        ):
            for generator in generators:
                try:
                    settings_of(generator, self.external)
                except ValueError as error:
                    raise ValueError(f"{key} names {generator}, but {error}") from None
        return self


def resolve_parameters(config: dict, folder: str | Path = ".") -> dict:
    """Return the parameters of the chosen scale as a checked plain dictionary.

    `config` is the content of params.yaml, `folder` the one that holds scales/. What neither a file
    nor the overrides give has its default, the papers' value. Raises ParameterError, naming each
    wrong key (in scales that are not chosen, too), its value and a remedy.
    """
    config, scales = copy.deepcopy(dict(config)), read_scales(folder)
    overrides = config.pop("overrides", {}) or {}
    layers = {f"scales/{name}.yaml: ": block for name, block in scales.items()}
    if not isinstance(overrides, dict):
        raise ParameterError(
            f"overrides: {overrides!r} is not allowed; write sections, as params.yaml"
        )
    layers |= {"overrides.": overrides}
    wrong = [wrong_keys(block, where, Parameters) for where, block in layers.items()]
    if messages := list(chain(*wrong)):
        raise ParameterError("\n".join(messages))
    scale = overrides.get("scale", config.get("scale", Parameters.model_fields["scale"].default))
    if scale not in scales:
        raise ParameterError(
            f"scale: {scale!r} is unknown; choose one of {', '.join(scales)}, or write "
            f"{Path(folder) / 'scales' / f'{scale}.yaml'}"
        )
    merged = merge(merge(config, scales[scale]), _plain(overrides)) | {"scale": scale}
    try:
        checked = Parameters.model_validate(merged)
    except ValidationError as error:
        chosen = {where: layers[where] for where in (f"scales/{scale}.yaml: ", "overrides.")}
        explained = [explain(e, Parameters, chosen) for e in error.errors()]
        raise ParameterError("\n".join(explained)) from None
    return checked.model_dump(mode="python", by_alias=True, exclude_none=False)


def read_scales(folder: str | Path = ".") -> dict[str, dict]:
    """What each scale changes: the files of scales/ in `folder` by name, and 'paper': nothing.

    Raises ParameterError for a file that is not YAML with sections.
    """
    found = {}
    for path in sorted((Path(folder) / "scales").glob("*.yaml")):
        block = read_sections(path)
        if "scale" in block:
            raise ParameterError(f"{path}: scale: not allowed here; params.yaml picks the scale")
        found[path.stem] = block
    return found | {PAPER: found.get(PAPER, {})}


def read_sections(path: Path) -> dict:
    """Content of params.yaml or of a scale's file. Raises ParameterError where it is none."""
    try:
        block = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(block, dict):
        raise ParameterError(f"{path}: {block!r} is not allowed; write sections, as params.yaml")
    return block


def trained_settings(generator: str, parameters: dict) -> dict:
    """What a generator is trained with: its section of `generators`, threads, a variant's options.

    The section bears the generator's name up to the first '-': variants of one share it.
    """
    section = parameters["generators"][generator.partition("-")[0]]
    return {"threads": parameters["generators"]["threads"]} | section | ROWS[generator].options


def merge(base: dict, changes: dict) -> dict:
    """Lay `changes` over `base`; nested dictionaries are merged, everything else is replaced."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def flatten(parameters: dict, prefix: str = "") -> dict:
    """Turn nested parameters into {'training.steps': 600, ...}."""
    flat: dict = {}
    for key, value in parameters.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def present_names(flat: dict) -> dict:
    """Flat parameters of an older record, whose names may have changed, by their present names."""
    parts = {name: name.rpartition(".") for name in flat}
    return {
        f"{section}{dot}{RENAMED.get(key, key)}": flat[name]
        for name, (section, dot, key) in parts.items()
    }


def _plain(value):
    """Turn the texts 'null' and '.inf', as Snakemake's --config passes them on, into values."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return {"null": None, ".inf": math.inf}.get(value, value) if isinstance(value, str) else value
