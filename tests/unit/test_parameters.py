import copy
import shutil
import subprocess
import sys

import pytest
import yaml
from tests.helpers.parameters import CONFIG, changed
from tests.helpers.workflow import REPOSITORY

from visemix.config.messages import wrong_keys
from visemix.config.parameters import (
    ParameterError,
    Parameters,
    flatten,
    read_scales,
    resolve_parameters,
)
from visemix.config.section import Section


@pytest.mark.parametrize("scale", ["test", "miniature", "study", "paper"])
def test_every_scale_of_the_shipped_file_is_valid(scale):
    parameters = resolve_parameters(changed(scale=scale))
    assert parameters["scale"] == scale
    assert parameters["training"]["steps"] >= 1


def test_paper_scale_is_the_papers_recipe():
    parameters = resolve_parameters(changed(scale="paper"))
    assert parameters["training"]["learning_rate"] == 3e-4
    assert parameters["training"]["batch_size"] == 32
    assert parameters["synthesis"]["clips"] == 400_000
    assert (parameters["model"]["width"], parameters["model"]["input_size"]) == (64, 88)


def test_order_is_file_then_scale_then_overrides():
    config = changed(overrides={"training": {"steps": 7}})
    parameters = resolve_parameters(config)
    scale = read_scales(REPOSITORY)["miniature"]["training"]
    assert parameters["training"]["steps"] == 7
    assert parameters["training"]["learning_rate"] == scale["learning_rate"]
    assert parameters["training"]["viseme_weight"] == CONFIG["training"]["viseme_weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"lerning_rate": 1}}, r"training.lerning_rate: unknown key; did you mean 'l"),
        ({"overrides": {"training": {"stepz": 1}}}, r"overrides.training.stepz: .*'steps'"),
        ({"overrides": {"runs": {"lipgen-R6": {"lamda": 1}}}}, r"overrides.runs.lipgen-R6.lamda: "),
        ({"overrides": ["training"]}, r"overrides: \['training'\] is not allowed"),
        ({"scales": {"test": {}}}, r"scales: unknown key"),
        (
            {"overrides": {"generators": {"wav2lip": {"critic_width": 8}}}},
            r"wav2lip.critic_width: unknown key; it is called discriminator_width",
        ),
        (
            {"crops": {"max_missing_share": 0.1}},
            r"unknown key; it is called max_missing_proportion",
        ),
        ({"pose": {"two_axes_share": 0.1}}, r"unknown key; it is called two_axes_proportion"),
        ({"scale": "huge"}, r"scale: 'huge' is unknown; choose one of .* or write .*huge.yaml"),
        (
            {"overrides": {"training": {"mixup": -1}}},
            r"^overrides.training.mixup: -1 is not allowed; .*greater than",
        ),
        ({"overrides": {"training": {"batch_size": "many"}}}, r"training.batch_size: 'many'"),
        ({"overrides": {"model": {"dilations": [1]}}}, r"model.dilations has 1 entries .*give"),
        ({"overrides": {"model": {"growth": 47}}}, r"growth = 47 .* multiple"),
        ({"overrides": {"crops": {"smoothing_window": 4}}}, r"smoothing_window is 4; take an odd"),
        ({"overrides": {"corpus": {"words": ["A", "A"]}}}, r"names a word twice"),
        (
            {"overrides": {"training": {"processes": 3}}},
            r"batch_size 32 .* by 3 processes equally; make",
        ),
        ({"runs": {"lipgen-R6": {"lamda": 0.3}}}, r"runs.lipgen-R6.lamda: .*'lambda'"),
    ],
)
def test_errors_name_key_value_and_remedy(change, message):
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(changed(**change))


def test_a_missing_key_has_the_papers_value_and_one_without_a_default_is_named():
    config = copy.deepcopy(CONFIG)
    del config["training"]["viseme_weight"], config["mixing"]
    assert resolve_parameters(config, REPOSITORY) == resolve_parameters(CONFIG, REPOSITORY)
    with pytest.raises(ParameterError, match=r"external.wav2lip.python: missing; add it"):
        resolve_parameters(changed(external={"wav2lip": {"repository": "here"}}), REPOSITORY)


def test_params_yaml_holds_every_parameter_with_the_papers_value():
    papers = Parameters().model_dump(by_alias=True)
    assert flatten(CONFIG).keys() - {"overrides"} == flatten(papers).keys()
    assert resolve_parameters(changed(scale="paper"), REPOSITORY) == papers | {"scale": "paper"}


@pytest.fixture
def folder(tmp_path):
    """A folder with the scales that are shipped, to which a test adds its own."""
    shutil.copytree(REPOSITORY / "scales", tmp_path / "scales")
    return tmp_path


def test_a_scale_of_the_users_own_is_a_file(folder):
    (folder / "scales" / "mine.yaml").write_text("training: {steps: 7}\nseeds: [0, 1]\n")
    parameters = resolve_parameters(changed(scale="mine"), folder)
    assert (parameters["scale"], parameters["training"]["steps"]) == ("mine", 7)
    assert parameters["training"]["mixup"] == CONFIG["training"]["mixup"]
    (folder / "scales" / "mine.yaml").write_text("training: {mixup: -1}\n")
    with pytest.raises(ParameterError, match=r"^scales/mine.yaml: training.mixup: -1 is not"):
        resolve_parameters(changed(scale="mine"), folder)
    (folder / "scales" / "nothing.yaml").touch()
    papers = resolve_parameters(changed(scale="paper"), folder)
    assert resolve_parameters(changed(scale="nothing"), folder) == papers | {"scale": "nothing"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle: {width: 8}", r"scales/mine.yaml: modle: unknown key; did you mean 'model'\?"),
        ("model: {with: 8}", r"scales/mine.yaml: model.with: unknown key; did you mean 'width'\?"),
        (
            "generators: {lam: {warpp: true}}\nruns: {lipgen-R6: {lamda: 0.3}}",
            r"mine.yaml: generators.lam.warpp: .*'warp'\?\n.*: runs.lipgen-R6.lamda: .*'lambda'\?",
        ),
        ("external: {wav2lip: {pyton: x}}", r"mine.yaml: external.wav2lip.pyton: .*'python'"),
        ("- steps", r"mine.yaml: \['steps'\] is not allowed; write sections"),
        ("training: {steps: 7", r"mine.yaml: not YAML: .*line"),
        ("scale: test", r"mine.yaml: scale: not allowed here"),
    ],
)
def test_a_wrong_scale_file_is_named_also_where_it_is_not_chosen(folder, text, message):
    (folder / "scales" / "mine.yaml").write_text(text)
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(changed(scale="test"), folder)


def test_a_wrong_key_in_a_list_of_sections_is_named_by_its_number():
    class Source(Section):
        root: str
        """A folder."""

    class Sources(Section):
        sources: list[Source]
        """Folders."""

    given = {"sources": [{"root": "here"}, {"rot": "there"}]}
    (message,) = wrong_keys(given, "overrides.", Sources)
    assert message == "overrides.sources.1.rot: unknown key; did you mean 'root'?"


def test_resolving_leaves_the_input_alone():
    before = copy.deepcopy(CONFIG)
    resolve_parameters(CONFIG)
    assert before == CONFIG


def test_null_and_infinity_come_through_the_command_line():
    overrides = {"synthesis": {"clips": "null"}, "runs": {"lipgen-R3": {"repeats": ".inf"}}}
    parameters = resolve_parameters(changed(overrides=overrides))
    assert parameters["synthesis"]["clips"] is None
    assert parameters["runs"]["lipgen-R3"]["repeats"] == float("inf")


def loaded_by(*modules):
    """Names of all modules that a fresh Python has after importing these."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_parameters_need_no_other_room_and_no_heavy_library():
    loaded = loaded_by("visemix.config.reference")
    ours = {name for name in loaded if name.startswith("visemix.")}
    assert {name for name in ours if not name.startswith("visemix.config")} == set()
    assert {"torch", "mlflow", "numba", "pandas"}.isdisjoint(loaded)


def test_the_names_of_generators_and_runs_depend_on_no_parameter():
    loaded = loaded_by("visemix.config.generator_names", "visemix.papers.mixture_runs")
    ours = {name for name in loaded if name.startswith("visemix.config.")}
    assert ours == {"visemix.config.generator_names", "visemix.config.repeats"}


def test_dvc_runs_every_stage_again_when_a_scale_or_an_override_changes():
    content = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    for name, stage in content["stages"].items():
        assert "scales" in stage["deps"], name
        assert {"scale", "overrides"} <= set(stage["params"]), name
    shipped = {str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("scales/*.yaml")}
    assert set(content["params"]) == shipped
