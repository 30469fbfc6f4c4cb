"""Changing a module re-runs the rules whose scripts import it, however indirectly, and no other."""

import re
import shutil
import subprocess
import sys

import pytest
from tests.helpers.workflow import REPOSITORY, clean_environment

TRAINED = [f"data/generators/miniature-{name}/weights.safetensors" for name in ("lam", "wav2lip")]
TABLES = {"table": 3, "angles": 1, "claims": 1, "paper_power": 1, "report": 1, "track": 1, "all": 1}
TRAININGS = {"train": 8, "evaluate": 13, **TABLES}


def snakemake(folder, *arguments):
    """What Snakemake says in a copy of the workflow, whose package lies beside its Snakefile."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "all", *TRAINED]
    done = subprocess.run(
        [*command, "--config", "scale=test"], cwd=folder, capture_output=True, text=True,
        env=clean_environment() | {"PYTHONPATH": str(folder / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the workflow and its package in which everything counts as made by this code.

    The files are empty: what is planned follows from Snakemake's records of how they were made.
    """
    folder = tmp_path_factory.mktemp("code") / "visemix"
    for name in ("src", "rules", "scales", "workflow_scripts", "papers", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name)
    for name in ("Snakefile", "params.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    for line in snakemake(folder, "--summary").splitlines()[1:]:
        file = folder / line.split("\t")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    snakemake(folder, "--touch", "--forceall")
    return folder


def planned(folder):
    """{rule: number of jobs}; trainings of generators with the generator's name."""
    output = snakemake(folder, "--dry-run")
    found = re.findall(r"^(?:local)?rule (\w+):$(.*?)(?=^\[|\Z)", output, re.M | re.S)
    jobs = {}
    for rule, text in found:
        if rule == "train_generator":
            rule += " " + re.search(r"wildcards: generator=(\S+)", text)[1]
        jobs[rule] = jobs.get(rule, 0) + 1
    assert jobs or "Nothing to be done" in output, output
    return jobs


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        # lam's training augments its clips: a list kept by hand did not know
        ("clips/augmentation.py", {**TRAININGS, "train_generator lam": 1}),
        ("generators/lam/losses.py", {"train_generator lam": 1}),
        ("generators/wav2lip/layers.py", {"train_generator wav2lip": 1}),
        ("training/entries.py", TRAININGS),
        ("models/temporal_attention_fusion.py", {**TRAININGS, "train_generator lam": 1}),
        ("heads/turned_torch.py",  # a lazy import
         {"pose_crops": 1, "pose_sheet": 1, **TABLES, "evaluate": 4, "table": 1}),
        ("visemes/maps/neti.csv", {"visemes": 1, **TRAININGS}),
        ("generators/sound_to_visemes.py",
         {"synthesis": 1, "mixture_synthetic": 1, **TRAININGS, "train": 6, "evaluate": 9}),
        ("report/templates/cell.html", {"report": 1, "all": 1}),
        ("papers/beta_axis.py", {"report": 1, "all": 1}),
        # of other generators, of no step of the default job, of no step at all
        ("generators/viseme.py", {}),
        # a line for a new generator
        ("config/generator_names.py", TABLES),
        ("evaluation/feature_map.py", {}),
        ("cli.py", {}),
    ],
)  # fmt: skip
def test_a_changed_file_reruns_what_uses_it(project, file, jobs):
    path = project / "src" / "visemix" / file
    before = path.read_bytes()
    path.write_bytes(before + b"\n# a comment\n")
    try:
        assert planned(project) == jobs
    finally:
        path.write_bytes(before)


def test_unchanged_code_reruns_nothing(project):
    assert planned(project) == {}
