"""The beta axis trains what it needs, once, and nothing of it belongs to the default job."""

import shutil

import pytest
from tests.helpers.workflow import planned_jobs

CURVE = "{beta: {control: [updates], repeats: [0, 1/3, 1/2, 1, 2, 5, 7, 10, 20, .inf], seeds: [0]}}"


def override(text):
    return ("--config", "scale=test", f"overrides={text}")


def test_ten_points_are_ten_trainings_of_nine_mixtures_and_the_real_clips(tmp_path):
    assert planned_jobs(tmp_path, "beta_curve", *override(CURVE)) == {
        "miniature_corpus": 1, "manifest": 1, "crops": 3, "visemes": 1, "pairs": 1, "synthesis": 1,
        "mixture_real": 1, "mixture_synthetic": 9, "train": 10, "evaluate": 10, "beta_curve": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "trainings"),
    [
        # one N more; each seed; equal epochs share the real clips alone with equal updates
        ("{beta: {control: [updates], repeats: [1/2, 1, 3, .inf]}}", 4),
        ("{beta: {control: [updates], seeds: [0, 1]}}", 2 * 3),
        ("{beta: {control: [updates, epochs]}}", 3 + 2),
        ("{beta: {control: [updates], repeats: [1, .inf]}}", 2),
    ],
)
def test_trainings_follow_the_points(tmp_path, change, trainings):
    jobs = planned_jobs(tmp_path, "beta_curve", *override(change))
    assert (jobs["train"], jobs["evaluate"]) == (trainings, trainings)


def test_a_second_generator_adds_its_synthesis_and_its_mixtures(tmp_path):
    change = "{beta: {control: [updates], generators: [portrait, viseme]}}"
    jobs = planned_jobs(tmp_path, "beta_curve", *override(change))
    assert (jobs["synthesis"], jobs["mixture_synthetic"], jobs["train"]) == (2, 4, 2 * 2 + 1)


def test_draws_share_the_training_on_the_real_clips(tmp_path):
    jobs = planned_jobs(
        tmp_path, "beta_samplings", *override("{beta: {shares: [10, 30, 50, 70], samplings: 4}}")
    )
    assert (jobs["train"], jobs["mixture_sampled"], jobs["beta_features"]) == (16 + 1, 16, 1)


def test_a_finished_default_job_lends_its_trainings_and_one_n_adds_one(finished_run):
    jobs = planned_jobs(
        finished_run, "beta_curve", *override("{beta: {control: [updates], repeats: [1, .inf]}}")
    )
    assert jobs == {"beta_curve": 1}
    change = "{beta: {control: [updates], repeats: [1, 4, .inf]}}"
    assert planned_jobs(finished_run, "beta_curve", *override(change)) == {
        "mixture_synthetic": 1, "train": 1, "evaluate": 1, "beta_curve": 1,
    }  # fmt: skip


def test_parameters_of_the_axis_leave_the_default_job_alone(finished_run):
    jobs = planned_jobs(finished_run, *override("{beta: {repeats: [3, .inf]}}"))
    assert jobs == {"all": 1, "report": 1, "track": 1}  # these show all parameters


def test_finished_tables_of_the_axis_ask_for_a_new_report_alone(finished_run, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(finished_run, tree)
    (tree / "tables/beta").mkdir(parents=True)
    (tree / "tables/beta/curve.csv").write_text("control\n")
    assert planned_jobs(tree) == {"all": 1, "report": 1}
