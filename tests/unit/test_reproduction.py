"""A number is a reproduction by its values, not by the name of the scale it was measured at."""

import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.config.parameters import flatten, merge, resolve_parameters
from visemix.papers.cells import read_paper, run_names
from visemix.papers.reproduction import (
    NOT_COMPARED,
    departures,
    in_short,
    measured_departures,
)

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
ANIPORTRAIT = {
    "scale": "paper",
    "synthesis": {"generator": "external-aniportrait"},
    "external": {"aniportrait": {"repository": "program", "python": "python"}},
}
LRW = {"n": 25000, "words": 500}
CLIPS = {"real": 488766, "synthetic": 399000}


def resolved(**overrides):
    return resolve_parameters(CONFIG | {"overrides": merge(ANIPORTRAIT, overrides)})


def test_the_papers_own_values_are_a_reproduction_whatever_the_scale_is_called():
    assert departures("lipgen", resolved()) == []
    assert all(departures("lipgen", resolved(), run) == [] for run in run_names("lipgen"))
    assert measured_departures("lipgen", "test", clips=CLIPS, **LRW) == []
    # an embedded corpus at a scale that bears the paper's name
    disguised = resolve_parameters(CONFIG | {"scale": "miniature"}) | {"scale": "paper"}
    assert departures("lipgen", disguised)[0] == "corpus.name: miniature (paper: lrw)"


def test_the_default_generator_at_scale_paper_is_no_reproduction_where_it_was_used():
    parameters = resolve_parameters(CONFIG | {"scale": "paper"})
    expected = ["synthesis.generator: portrait (paper: external-aniportrait)"]
    assert departures("lipgen", parameters) == expected
    assert departures("lipgen", parameters, "lipgen-R3") == expected
    assert departures("lipgen", parameters, "lipgen-R2") == []  # of real clips alone
    readings = {reading["id"]: reading for reading in read_paper("lipgen")["readings"]}
    assert "AniPortrait" in readings["generator"]["unstated"]


@pytest.mark.parametrize("key", sorted(flatten(resolved())))
def test_every_parameter_counts_but_those_that_are_named(key):
    parameters, section = resolved(), {}
    at = section
    for part in key.split(".")[:-1]:
        at = at.setdefault(part, {})
    at[key.split(".")[-1]] = "another value"
    changed = merge(parameters, section)
    named = any(key == name or key.startswith(f"{name}.") for name in NOT_COMPARED)
    found = departures("lipgen", changed)
    assert found == [] if named else [text.split(":")[0] for text in found] == [key]


def test_a_parameter_that_the_file_does_not_have_counts_too():
    parameters = resolved()
    parameters["training"]["new"] = 1
    assert departures("lipgen", parameters) == ["training.new: 1 (paper: not set)"]


def test_a_changed_run_is_no_reproduction_and_the_others_are():
    parameters = resolved(runs={"lipgen-R6": {"lambda": 0.3}})
    assert departures("lipgen", parameters, "lipgen-R6") == ["runs.lipgen-R6.lambda: 0.3 (changed)"]
    assert departures("lipgen", parameters, "lipgen-R7") == []
    assert departures("lipgen", parameters) == ["runs.lipgen-R6: changed"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"n": 24999}, "test clips: 24999 (paper: 25000)"),
        ({"words": 499}, "words: 499 (paper: 500)"),
        ({"clips": {"real": 100000}}, "real training clips: 100000 (paper: 488766)"),
        ({"clips": CLIPS | {"synthetic": 3}}, "synthetic training clips: 3 (paper: 400000)"),
    ],
)
def test_what_lies_on_the_disk_counts_too(changes, expected):
    found = LRW | {"clips": {"real": 488766}} | changes
    assert measured_departures("lipgen", "pose", **found) == [expected]


def test_many_departures_are_counted_after_the_first():
    assert in_short([]) == ""
    assert in_short(list("abc")) == "a; b; c"
    assert in_short(list("abcde")) == "a; b; c; and 2 more"
