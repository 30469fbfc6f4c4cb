import math

import numpy as np
import pytest

from visemix.clips.shard_writer import CropRecord, write_crops
from visemix.report import figures, quality

PNG = b"\x89PNG"


def write_set(folder, scores, rejects=(), missing=0, **quality):
    """A crop set whose clips show their number; scores None: cut without a detector."""
    records = []
    for n, score in enumerate(scores):
        found = {"interpolated_frames": missing} | (
            {} if score is None else {"detector_score": score}
        )
        found |= {name: values[n] for name, values in quality.items()}
        records.append(CropRecord(f"c{n:03d}", "A", np.full((4, 96, 96), n, np.uint8), found))
    records += [CropRecord(f"r{n:03d}", "A", None, reason=r) for n, r in enumerate(rejects)]
    write_crops(folder, records, {})


@pytest.fixture
def sets(tmp_path):
    write_set(tmp_path / "lrw-train", [0.9, 0.5, 1.0, 0.7, 0.6])
    write_set(tmp_path / "lrw-val", [0.8], ["no face", "cut short", "no face"], missing=1)
    write_set(tmp_path / "lrw-test", [], ["no face"])
    write_set(tmp_path / "lrw-pose", [0.95, math.nan, 0.85], projected=[0.0, 1.0, 0.0])
    write_set(tmp_path / "lrw-portrait", [None, None])
    return quality.crop_sets("lrw", "portrait", tmp_path)


def test_rows_count_clips_frames_and_reasons(sets):
    train, val, test, pose, synthetic = quality.quality_rows(sets)
    assert train["name"] == "lrw train" and train["clips"] == train["cropped"] == 5
    assert train["scores"] == pytest.approx([0.5, 0.52, 0.7]) and train["frames_found"] == 100
    assert val["clips"] == 4 and val["cropped"] == 1 and val["frames_found"] == 75
    assert val["reasons"] == [("no face", 2), ("cut short", 1)]
    assert test["clips"] == 1 and test["scores"] is None and test["frames_found"] is None
    assert train["projected"] is None
    assert pose["projected"] == 1  # the clip without a score, which the quantiles leave out
    assert pose["scores"] == pytest.approx([0.85, 0.855, 0.9])
    assert synthetic["scores"] is None and synthetic["reasons"] == []


def test_the_worst_clips_of_each_set_come_first(sets, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "contact_sheet", lambda rows: shown.extend(rows) or PNG)
    assert quality.worst_sheet(sets, clips=3) == PNG
    assert [title.split()[0] for title, _ in shown] == [
        "c001", "c004", "c003", "c000", "c002", "c000",
    ]  # fmt: skip
    assert [crops[0, 0, 0] for _, crops in shown] == [1, 4, 3, 0, 2, 0]


def test_pictures_are_drawn_or_left_out(sets):
    assert quality.score_figure(sets).startswith(PNG)
    assert quality.worst_sheet(sets).startswith(PNG)
    without = {"synthetic (portrait)": sets["synthetic (portrait)"]}
    assert quality.score_figure(without) is None and quality.worst_sheet(without) is None
