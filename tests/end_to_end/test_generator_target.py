"""What a user finds after `snakemake --cores all generators`, here at scale test."""

import json
import shutil

import cv2
import pandas as pd
import pytest
from tests.helpers.workflow import planned_jobs, snakemake

from visemix.clips.mixture import make_mixture
from visemix.evaluation import MIXED, OBSERVER

GENERATORS, CLIPS = ["portrait", "viseme"], 6
TARGET = ("generators", "--config", f"overrides={{generators: {{compared: {GENERATORS}}}}}")


@pytest.fixture(scope="module")
def measured(finished_run, tmp_path_factory):
    """A copy of the finished run in which generators were compared."""
    folder = tmp_path_factory.mktemp("generators") / "visemix"
    shutil.copytree(finished_run, folder, symlinks=True)
    snakemake(folder, *TARGET)
    return folder


def test_every_measure_has_a_row_a_generator_with_n_and_an_interval_or_a_reason(measured):
    frame = pd.read_csv(measured / "tables/generators.csv")
    assert set(frame.groupby("measure")["generator"].apply(tuple)) == {tuple(GENERATORS)}
    for generator in GENERATORS:
        file = measured / f"generators/miniature-{generator}/measures.json"
        found = json.loads(file.read_text())
        assert found["drawn"] == CLIPS == found["made"] + sum(found["rejected"].values())
        rows = frame[frame.generator == generator].set_index("measure")
        assert (rows.loc[["psnr", "ssim", "fid", "kid", "in_sync"], "n"] == found["made"]).all()
        read = rows.loc[[f"accuracy_{OBSERVER}", f"accuracy_{MIXED}"]]
        assert (read["n"] == CLIPS).all() and (read["reference_n"] == CLIPS).all()
        some = rows[rows["n"] >= 4]
        assert len(some) >= len(rows) - 1
        assert ((some["low"] <= some["value"]) & (some["value"] <= some["high"])).all()


def test_sheets_and_table_are_there(measured):
    sheets = [cv2.imread(str(measured / f"generators/miniature-{g}/sheet.png")) for g in GENERATORS]
    assert sheets[0].shape == sheets[1].shape
    assert "lipgen-R2" in (measured / "tables/generators.md").read_text()


def test_evaluation_sets_cannot_be_trained_on(measured):
    made = measured / "data/crops/miniature-portrait-evaluation"
    with pytest.raises(ValueError, match="nothing may be trained on it"):
        make_mixture("x", measured / "data/crops/miniature-train", made, 1, 0)


def test_the_report_alone_is_made_again_and_shows_the_measures(measured):
    assert planned_jobs(measured, *TARGET) in ({}, {"generators": 1})
    assert "No generator was measured" in (measured / "report/generators.html").read_text()
    assert planned_jobs(measured) == {"all": 1, "report": 1}
    snakemake(measured, "report/index.html")
    page = (measured / "report/generators.html").read_text()
    assert all(f"{g}: " in page for g in GENERATORS)
    assert (measured / "report/pictures/generators-sheet.png").is_file()
    assert planned_jobs(measured) == {}
