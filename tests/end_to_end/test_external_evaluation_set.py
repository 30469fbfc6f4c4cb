"""A published program is measured as every other generator: held-out clips made again by it."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.stand_in_programs import repository, settings
from tests.helpers.workflow import snakemake

SET = "data/crops/miniature-external-wav2lip-evaluation"
CLIPS = 6


@pytest.fixture
def python(tmp_path) -> list[str]:
    """A Python with the libraries that the stand-in for the program needs."""
    site = Path(find_spec("av").origin).parents[1]
    return ["env", f"PYTHONPATH={site}", sys.executable, "-S"]


def compared(external: dict) -> list[str]:
    chosen = {"generators": {"compared": ["external-wav2lip"]}, "external": external}
    return ["--config", "scale=test", f"overrides={json.dumps(chosen)}"]


def test_clips_are_made_again_and_one_that_fails_is_a_row(tmp_path, python):
    program = repository(tmp_path / "Wav2Lip", "wav2lip", f"first-fails:{tmp_path / 'failed'}")
    run = tmp_path / "run"
    run.mkdir()
    snakemake(run, f"{SET}/manifest.json", *compared({"wav2lip": settings(program, python)}))
    made, rejects = (pd.read_parquet(run / SET / f"{n}.parquet") for n in ("index", "rejects"))
    assert len(made) + len(rejects) == CLIPS and made["clip_id"].str.startswith("val/").all()
    assert rejects["reason"].str.contains("wav2lip: .*CUDA out of memory").sum() == 1
    assert len(made) and not rejects["reason"].str.contains("FileNotFound|configure").any()
    manifest = json.loads((run / SET / "manifest.json").read_text())["parameters"]
    assert manifest["generator"] == "external-wav2lip" and "not-conf" not in manifest["version"]
    seconds = run / "data/synthesis/miniature-external-wav2lip-evaluation/seconds.csv"
    assert len(seconds.read_text().splitlines()) == len(made)


def test_a_program_that_is_not_set_up_is_named_before_anything_runs(tmp_path):
    done = snakemake(tmp_path, "generators", *compared({}), check=False)
    output = done.stdout + done.stderr
    assert done.returncode and not (tmp_path / "data").exists()
    assert "generators.compared names external-wav2lip, but external.wav2lip is missing" in output


def test_a_program_that_is_not_installed_is_said_before_a_clip_is_made(tmp_path, python):
    external = {"wav2lip": settings(tmp_path / "nowhere", python)}
    done = snakemake(tmp_path, f"{SET}/manifest.json", *compared(external), check=False)
    assert done.returncode
    log = (tmp_path / "logs/evaluation_set/external-wav2lip.log").read_text()
    assert "wav2lip cannot be run" in log and "git clone" in log
