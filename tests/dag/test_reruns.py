"""Changing a parameter re-runs exactly the rules it touches, and what follows from them."""

import re

import pytest
from tests.helpers.workflow import planned_jobs, snakemake

TRAININGS = 8
# eight runs on the test split, the full model once more with shuffled frames, four on the pose set
EVALUATIONS = 8 + 1 + 4
ONLY_TABLE_3 = {"all": 1, "table": 1, "claims": 1, "paper_power": 1, "report": 1, "track": 1}
LAST = {**ONLY_TABLE_3, "table": 3, "angles": 1}


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """What a dry run of the default job on two cores says of each job."""
    return snakemake(tmp_path_factory.mktemp("fresh"), "--dry-run").stdout


def override(text):
    return ("--config", "scale=test", f"overrides={text}")


def test_a_fresh_tree_needs_every_rule_once_per_artifact(tmp_path):
    assert planned_jobs(tmp_path) == {
        "miniature_corpus": 1, "manifest": 1, "crops": 3, "pose_manifest": 1, "pose_crops": 1,
        "pose_sheet": 1, "visemes": 1, "pairs": 1,
        "synthesis": 1, "mixture_real": 1, "mixture_synthetic": 1, "train": TRAININGS,
        "evaluate": EVALUATIONS, **LAST,
    }  # fmt: skip


@pytest.mark.parametrize("rule", ["manifest", "crops", "pairs", "synthesis", "pose_crops"])
def test_what_goes_over_all_clips_or_portraits_takes_all_cores(plan, rule):
    """At paper scale `pairs` looks for faces in 80,000 portraits."""
    assert re.search(rf"^rule {rule}:\n(?: .*\n)*? +threads: 2\n", plan, re.MULTILINE)


def test_a_finished_tree_needs_nothing(finished_run):
    assert planned_jobs(finished_run) == {}


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        # lambda of one run: its training, its evaluations (of the full model three), no other
        ("{runs: {lipgen-R6: {lambda: 0.3}}}", {"train": 1, "evaluate": 3, **LAST}),
        ("{runs: {lipgen-R5: {lambda: 0.3}}}", {"train": 1, "evaluate": 1, **ONLY_TABLE_3}),
        ("{training: {steps: 7}}", {"train": TRAININGS, "evaluate": EVALUATIONS, **LAST}),
        ("{evaluation: {batch_size: 3}}", {"evaluate": EVALUATIONS, **LAST}),
        (
            "{visemes: {map: constructed-18-silence}}",
            {"visemes": 1, "train": TRAININGS, "evaluate": EVALUATIONS, **LAST},
        ),
        (
            "{mixing: {seed: 1}}",
            {"mixture_real": 1, "mixture_synthetic": 1, "train": TRAININGS,
             "evaluate": EVALUATIONS, **LAST},
        ),
        (
            "{synthesis: {seed: 1}}",
            {"pairs": 1, "synthesis": 1, "mixture_synthetic": 1, "train": 6, "evaluate": 9, **LAST},
        ),
        # mixtures for as many epochs as the real clips: the runs on these alone stay
        ("{training: {equal: epochs}}", {"train": 6, "evaluate": 9, **LAST}),
        # another draw of the turns: the pose set and Table II; its sheet shows fixed angles
        (
            "{pose: {seed: 1}}",
            {"pose_manifest": 1, "pose_crops": 1, "evaluate": 4, **LAST, "table": 1},
        ),
    ],
)  # fmt: skip
def test_a_parameter_reruns_exactly_what_it_touches(finished_run, change, jobs):
    assert planned_jobs(finished_run, *override(change)) == jobs


VISEME_SET = "data/crops/miniature-viseme/manifest.json"


def test_a_set_of_another_generator_is_asked_for_by_its_name(tmp_path):
    assert planned_jobs(tmp_path, VISEME_SET) == {
        "miniature_corpus": 1, "manifest": 1, "visemes": 1, "pairs": 1, "synthesis": 1,
    }  # fmt: skip
    both = planned_jobs(tmp_path, VISEME_SET, VISEME_SET.replace("viseme", "portrait"))
    assert (both["pairs"], both["synthesis"], both["visemes"]) == (2, 2, 1)


def test_a_set_of_another_generator_leaves_a_finished_tree_alone(finished_run):
    assert planned_jobs(finished_run, VISEME_SET) == {"pairs": 1, "synthesis": 1}
    mixture = "data/mixtures/miniature-viseme-N0.5.json"
    assert planned_jobs(finished_run, mixture) == {
        "pairs": 1, "synthesis": 1, "mixture_synthetic": 1,
    }  # fmt: skip


def test_the_runs_take_the_generator_of_params_yaml(finished_run):
    assert planned_jobs(finished_run, *override("{synthesis: {generator: viseme}}")) == {
        "pairs": 1, "synthesis": 1, "mixture_synthetic": 1, "train": 6, "evaluate": 9, **LAST,
    }  # fmt: skip


def test_sounds_of_a_split(tmp_path):
    jobs = planned_jobs(tmp_path, "data/sounds/miniature-val/index.parquet")
    assert jobs == {"miniature_corpus": 1, "manifest": 1, "sounds": 1}


def test_an_unknown_generator_is_refused(tmp_path):
    done = snakemake(tmp_path, "data/crops/miniature-diffusion/manifest.json", check=False)
    assert done.returncode
    assert "MissingRuleException" in done.stdout + done.stderr
    done = snakemake(tmp_path, *override("{synthesis: {generator: visme}}"), check=False)
    assert "synthesis.generator: 'visme' is not allowed" in done.stdout + done.stderr


def test_one_table_needs_only_its_own_runs(tmp_path):
    jobs = planned_jobs(tmp_path, "tables/lipgen/table1.csv")
    assert jobs["train"] == 1
    assert jobs["evaluate"] == 2
    assert "report" not in jobs


def test_two_seeds_double_the_trainings(tmp_path):
    jobs = planned_jobs(tmp_path, "--config", "scale=test", "seeds=[0, 1]")
    assert (jobs["train"], jobs["evaluate"]) == (2 * TRAININGS, 2 * EVALUATIONS)


def test_gpus_are_counted(tmp_path):
    two = override("{training: {processes: 2}}")
    done = snakemake(tmp_path, "--dry-run", "--resources", "gpu=8", *two)
    assert "gpu=1" in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("gpu=2") == TRAININGS


def test_a_wrong_key_is_named_before_anything_runs(tmp_path):
    done = snakemake(tmp_path, *override("{training: {stepz: 7}}"), check=False)
    assert done.returncode
    assert "overrides.training.stepz: unknown key; did you mean 'steps'?" in done.stderr
    assert not list(tmp_path.glob("data"))


def test_lrw_needs_no_rendering(tmp_path):
    jobs = planned_jobs(tmp_path, "--config", "scale=paper")
    assert "miniature_corpus" not in jobs
    assert jobs["train"] == TRAININGS
