import copy

import pytest
import yaml
from tests.conftest import REPOSITORY

from visemix.run.parameters import ParameterError, merge, resolve_parameters

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


def changed(**sections):
    return merge(CONFIG, sections)


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
    scale = CONFIG["scales"]["miniature"]["training"]
    assert parameters["training"]["steps"] == 7
    assert parameters["training"]["learning_rate"] == scale["learning_rate"]
    assert parameters["training"]["viseme_weight"] == CONFIG["training"]["viseme_weight"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"lerning_rate": 1}}, r"training.lerning_rate: unknown key; did you mean 'l"),
        ({"overrides": {"training": {"stepz": 1}}}, r"overrides.training.stepz: .*'steps'"),
        ({"scales": {"paper": {"modle": {}}}}, r"scales.paper.modle: unknown key; .*'model'"),
        ({"scale": "huge"}, r"scale: 'huge' is unknown; choose one of test, miniature"),
        (
            {"overrides": {"training": {"mixup": -1}}},
            r"training.mixup: -1 is not allowed; .*greater than",
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


def test_a_missing_key_is_named():
    config = copy.deepcopy(CONFIG)
    del config["mixing"]["seed"]
    with pytest.raises(ParameterError, match=r"mixing.seed: missing; add it"):
        resolve_parameters(config)


def test_resolving_leaves_the_input_alone():
    before = copy.deepcopy(CONFIG)
    resolve_parameters(CONFIG)
    assert before == CONFIG


def test_null_and_infinity_come_through_the_command_line():
    overrides = {"synthesis": {"clips": "null"}, "runs": {"lipgen-R3": {"repeats": ".inf"}}}
    parameters = resolve_parameters(changed(overrides=overrides))
    assert parameters["synthesis"]["clips"] is None
    assert parameters["runs"]["lipgen-R3"]["repeats"] == float("inf")
