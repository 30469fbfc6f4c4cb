import math
from fractions import Fraction

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.workflow import REPOSITORY

from visemix.config.parameters import ParameterError, merge, resolve_parameters
from visemix.config.training import Training
from visemix.papers.beta_axis import (
    axis_files,
    curve_points,
    real_only_run,
    samples,
    trained_run,
)
from visemix.papers.cells import mixture_file, model_of_run, resolve_run, training_of_run
from visemix.papers.mixture_runs import (
    repeats_name,
    repeats_value,
    run_on_mixture,
    run_on_sample,
    split_name,
)
from visemix.training.words import equalised

CONFIG = yaml.safe_load((REPOSITORY / "params.yaml").read_text())


def parameters(**beta):
    beta = {"generators": ["portrait"]} | beta
    return resolve_parameters(merge(CONFIG, {"overrides": {"beta": beta}}))


fractions = st.builds(Fraction, st.integers(0, 30), st.integers(1, 9))


@given(fractions, st.sampled_from(["portrait", "wav2lip-gan", "aniportrait-small"]))
def test_names_keep_generator_fraction_and_control(repeats, generator):
    for control in ("updates", "epochs"):
        name = run_on_mixture("lipgen-R3", generator, str(repeats), control)
        base, differs = split_name(name)
        assert base == "lipgen-R3"
        assert differs == {
            "synthetic": True, "generator": generator, "repeats": repeats, "equal": control,
        }  # fmt: skip
        assert "/" not in name
        assert repeats_value(repeats_name(str(repeats))[1:]) == repeats


def test_names_of_the_ends_and_of_draws():
    assert repeats_name("1/3") == "N1d3"
    assert repeats_name(0.5) == "N1d2"
    assert run_on_mixture("lipgen-R3", "portrait", "inf", "epochs") == "lipgen-R3-real"
    assert split_name("lipgen-R3-real") == (
        "lipgen-R3", {"synthetic": False, "repeats": math.inf},
    )  # fmt: skip
    base, differs = split_name(run_on_sample("lipgen-R3", "wav2lip-gan", 30, 2))
    assert (base, differs["share"], differs["draw"]) == ("lipgen-R3", 30, "C")
    assert split_name("lipgen-R6") == ("lipgen-R6", {})


@pytest.mark.parametrize("text", ["-1", "1/0", "many", "nan", ""])
def test_repeats_that_are_no_number_are_refused(text):
    with pytest.raises(ValueError, match="a fraction such as 1/3"):
        repeats_value(text)


def test_points_share_the_trainings_of_the_papers_runs():
    points = curve_points(parameters(control=["updates", "epochs"]))
    assert len(points) == 2 * 10
    runs = {(p.control, p.repeats): p.run for p in points}
    assert runs["updates", "inf"] == runs["epochs", "inf"] == "lipgen-R2"
    assert runs["updates", "1"] == "lipgen-R3"
    assert runs["epochs", "1"] == "lipgen-R3-portrait-N1-epochs"
    assert runs["updates", "1/3"] == "lipgen-R3-portrait-N1d3"
    assert len(set(runs.values())) == 10 + 9
    assert [p.repeats for p in points[:4]] == ["0", "1/3", "1/2", "1"]


def test_generators_share_the_real_clips_alone_and_nothing_else():
    points = curve_points(parameters(generators=["portrait", "viseme"], control=["updates"]))
    assert len(points) == 2 * 10
    assert len({p.run for p in points}) == 2 * 9 + 1
    of_one = [p.run for p in points if p.repeats == "1"]
    assert of_one == ["lipgen-R3", "lipgen-R3-viseme-N1"]
    mixture = mixture_file("lipgen-R3-viseme-N1d3", parameters())
    assert mixture.name == "miniature-viseme-N1d3.json"


def test_a_changed_paper_run_is_not_taken_for_the_point():
    changed = merge(CONFIG, {"runs": {"lipgen-R2": {"temporal_shift": False}}})
    assert real_only_run(resolve_parameters(changed)) == "lipgen-R3-real"
    # the network of the axis itself: all points change with it
    changed = merge(CONFIG, {"runs": {"lipgen-R3": {"temporal_shift": False}}})
    assert real_only_run(resolve_parameters(changed)) == "lipgen-R1"
    assert real_only_run(parameters(run="lipgen-R6")) == "lipgen-R6-real"


def test_a_point_differs_from_its_network_in_the_mixture_alone():
    given_parameters = parameters()
    for run in ("lipgen-R3-real", "lipgen-R3-portrait-N1d3", "lipgen-R3-portrait-G10A"):
        assert model_of_run(run, given_parameters) == model_of_run("lipgen-R3", given_parameters)
    name = "data/mixtures/miniature-portrait-N1d3.json"
    assert str(mixture_file("lipgen-R3-portrait-N1d3-epochs", given_parameters)) == name
    assert resolve_run("lipgen-R3-real", given_parameters)["mixture"] == "miniature-real"
    with pytest.raises(ValueError, match="no run 'lipgen-R9' in papers"):
        resolve_run("lipgen-R9-real", given_parameters)


def test_sixteen_draws_and_their_files():
    drawn = samples(parameters())
    assert len(drawn) == 16
    assert {(s.share, s.draw) for s in drawn} >= {(10, "A"), (70, "D")}
    assert all(s.run == f"lipgen-R3-portrait-G{s.share}{s.draw}" for s in drawn)
    files = axis_files(["lipgen-R2", "lipgen-R2"], parameters(seeds=[3, 4]))
    assert len(files) == 2 * (1 + 2)  # per seed a record, predictions and metrics


def described(n_real, n_synthetic, repeats):
    return {
        "sources": [
            {"clips": n_real, "repeats": "inf" if math.isinf(repeats) else repeats, "role": "real"},
            {"clips": n_synthetic, "repeats": 0 if math.isinf(repeats) else 1, "role": "synthetic"},
        ],
        "seed": 0,
        "redraw": "fixed",
    }


@given(st.integers(64, 400), st.integers(64, 400), st.integers(0, 6), st.integers(10, 500))
def test_equal_epochs_draw_each_entry_as_often_as_the_real_clips_alone(real, synthetic, n, steps):
    training = Training(equal="epochs", steps=steps, batch_size=32)
    taken = equalised(training, described(real, synthetic, n)).steps
    in_an_epoch = (n * real + synthetic) // 32
    assert abs(taken - steps / (real // 32) * in_an_epoch) <= 0.5 + 1e-9
    assert equalised(training, described(real, synthetic, math.inf)).steps == steps


def paper_scale(**changes):
    return resolve_parameters(CONFIG | {"scale": "paper", "overrides": changes})


def test_the_papers_100_epochs_are_of_the_mixture_and_equal_updates_are_the_control():
    mixture, steps = described(488_766, 400_000, 1), {}
    for equal in ("epochs", "updates"):
        given_parameters = paper_scale(training={"equal": equal})
        training = Training(**training_of_run("lipgen-R3", given_parameters))
        config = equalised(training, mixture)
        assert config.equal == equal
        steps[equal] = config.steps
        assert round(config.steps / config.validate_every) == 100  # to select among, as R2's
        real = Training(**training_of_run("lipgen-R2", given_parameters))
        alone = equalised(real, described(488_766, 400_000, math.inf))
        assert (alone.steps, alone.equal) == (1_527_300, "updates")  # both are the same
    assert steps == {"epochs": 100 * 27_773, "updates": 1_527_300}
    assert paper_scale()["training"]["equal"] == "epochs"
    for scale in ("test", "miniature", "study"):
        assert resolve_parameters(CONFIG | {"scale": scale})["training"]["equal"] == "updates"


def test_a_point_of_the_axis_is_a_papers_run_where_the_same_is_equal():
    updates, epochs = "lipgen-R3-portrait-N1", "lipgen-R3-portrait-N1-epochs"
    assert trained_run(epochs, paper_scale()) == "lipgen-R3"
    assert trained_run(updates, paper_scale()) == updates
    given_parameters = paper_scale(training={"equal": "updates"})
    assert trained_run(updates, given_parameters) == "lipgen-R3"
    assert trained_run(epochs, given_parameters) == epochs
    assert trained_run("lipgen-R3-real", paper_scale()) == "lipgen-R2"


def test_only_runs_of_equal_epochs_take_other_steps():
    given_parameters = parameters()
    mixture = described(300, 246, 20)
    steps = {
        run: equalised(Training(**training_of_run(run, given_parameters)), mixture).steps
        for run in ("lipgen-R3", "lipgen-R3-portrait-N20", "lipgen-R3-portrait-N20-epochs")
    }
    assert list(steps.values()) == [400, 400, 8667]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repeats": [0, 1]}, r"beta.repeats is \['0', '1'\]; it needs .inf"),
        ({"repeats": [-1, ".inf"]}, r"beta.repeats.0: N is -1; write"),
        ({"repeats": [0.5, "1/2", ".inf"]}, "names a value twice"),
        ({"generators": ["nobody"]}, "beta.generators.0: 'nobody'"),
        ({"generators": ["viseme", "viseme"]}, "beta.generators names a value twice"),
        ({"shares": [0]}, "beta.shares.0: 0"),
        ({"controls": ["updates"]}, "did you mean 'control'"),
    ],
)
def test_wrong_parameters_are_named(change, message):
    with pytest.raises(ParameterError, match=message):
        parameters(**change)
