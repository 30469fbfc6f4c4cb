"""Table II from made-up predictions: ten clips, four runs, two seeds."""

import json

import pandas as pd
import pytest

from visemix.evaluation.statistics import VERDICTS, holm, wilson_interval
from visemix.tables.angles_table import COLUMNS, accuracy_by_angle, turned_differences
from visemix.tables.figures import angle_figure, table_figure
from visemix.tables.paper_table import build_table, controls, resolution, to_markdown
from visemix.tables.results import Results

CLIPS = [f"c{n}" for n in range(10)]
YAW = [0, 0, 15, -15, 15, 0, 0, -30, 15, 60]
PITCH = [0, 0, 0, 0, 0, -45, 45, 60, -30, 15]
ANGLES = pd.DataFrame({"clip_id": CLIPS, "yaw": map(float, YAW), "pitch": map(float, PITCH)})
PARAMETERS = {
    "corpus": {"name": "lrw"}, "synthesis": {"generator": "portrait"},
    "scale": "test", "seeds": [0, 1], "runs": {},
}  # fmt: skip
RIGHT = {  # which clips each training reads, first and second seed
    "lipgen-R1": ("1100000000", "1100000000"),
    "lipgen-R2": ("1111100000", "1101110000"),
    "lipgen-R3": ("1111111100", "1011111100"),
    "lipgen-R6": ("0111111111", "1111111110"),
}


def predictions(right):
    correct = [mark == "1" for mark in right]
    words = ["A", "B"] * 5
    return pd.DataFrame(
        {"clip_id": CLIPS, "label": words, "correct": correct, "rejected": False}
    ).sample(frac=1, random_state=1)


FRAMES = {run: [predictions(seed) for seed in seeds] for run, seeds in RIGHT.items()}


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A working directory with the evaluations of Table II."""
    monkeypatch.chdir(tmp_path)
    for run, frames in FRAMES.items():
        for seed, frame in enumerate(frames):
            folder = tmp_path / f"evaluations/{run}/seed-{seed}/lrw-pose"
            folder.mkdir(parents=True)
            frame.to_parquet(folder / "predictions.parquet")
            folder = tmp_path / f"runs/{run}/seed-{seed}"
            folder.mkdir(parents=True)
            record = {"mixture": {"sources": []}, "parameters": 1e6, "epochs": 1.0}
            record["training"] = {"equal": "updates", "steps": 7}
            (folder / "training.json").write_text(json.dumps(record))
    (tmp_path / "data/manifests").mkdir(parents=True)
    ANGLES.to_parquet(tmp_path / "data/manifests/lrw-pose.parquet")


def test_accuracy_is_counted_by_axis_and_larger_angle_over_both_seeds():
    found = accuracy_by_angle({"lipgen-R2": FRAMES["lipgen-R2"]}, ANGLES)
    assert found.columns.tolist() == COLUMNS
    assert found.groupby("run").n.sum().tolist() == [10]
    points = {(row.axis, row.angle): (row.n, row.accuracy) for row in found.itertuples()}
    assert points == {
        ("untouched", 0): (2, 100),  # c0 and c1 by both seeds
        ("yaw", 15): (3, pytest.approx(100 * 5 / 6)),  # c2 c3 c4, then c3 c4: signs do not count
        ("pitch", 45): (2, 25),  # c5 by the second seed alone
        ("both", 60): (2, 0),  # (-30, 60) and (60, 15)
        ("both", 30): (1, 0),
    }
    assert found.axis.tolist() == ["untouched", "yaw", "pitch", "both", "both"]
    first = found.iloc[0]
    assert (first.low, first.high) == tuple(100 * bound for bound in wilson_interval(2, 2))


def test_runs_keep_their_order():
    found = accuracy_by_angle(dict(reversed(FRAMES.items())), ANGLES)
    assert found.run.drop_duplicates().tolist() == list(reversed(FRAMES))


def test_a_clip_without_angle_is_named():
    with pytest.raises(ValueError, match="1 clips of lipgen-R1 have no angle, 'c9' for one"):
        accuracy_by_angle(FRAMES, ANGLES[:-1])


def test_differences_over_turned_clips_leave_the_untouched_out(finished):
    found = turned_differences("lipgen", "table2", Results(PARAMETERS))
    assert [row["n"] for row in found] == [8, 8, 8]
    assert [row["p_holm"] for row in found] == pytest.approx(holm([row["p"] for row in found]))
    assert {row["verdict"] for row in found} <= set(VERDICTS)
    gains = {
        r["row"]: r["difference"]
        for r in turned_differences("lipgen", "table2", Results(PARAMETERS))
    }
    assert gains["LipGen w/ LRW"] == pytest.approx(6 / 16)  # 3 + 3 of 2 x 8, against none
    assert gains["LipGen w/ LRW+SynData (ours)"] == pytest.approx(6 / 16)  # 12 against 6


def test_the_other_reading_is_marked_and_compared_with_the_same_row(finished):
    table = build_table("lipgen", "table2", Results(PARAMETERS))
    assert table.other_reading_of.tolist() == ["", "", "", "lipgen/table2/lrw-syn"]
    assert table.above.tolist() == ["", "lipgen/table2/baseline", *["lipgen/table2/lipgen-lrw"] * 2]
    assert table.difference.tolist()[1:] == pytest.approx([30, 25, 40])
    assert table.status.tolist() == ["test"] * 4
    notes = controls("lipgen", "table2", Results(PARAMETERS))
    assert notes == [{"name": "chance (1 of 2 words)", "accuracy": 50, "n": 10}]
    lines = to_markdown(table, "Table II", notes).splitlines()
    assert sum("our other reading of lipgen/table2/lrw-syn, not a cell" in x for x in lines) == 1


def test_resolution_looks_at_compared_rows_only(finished):
    found = resolution("lipgen", "table2", Results(PARAMETERS))
    # first seeds: R1 and R2 differ in 3 clips, R2 and R3 in 3, R2 and R6 in 6
    assert found["discordant"] == pytest.approx((3 + 3 + 6) / 30)
    assert found["published_steps"] == pytest.approx((0.9, 1.3))


def test_figures_are_drawn(finished):
    table = build_table("lipgen", "table2", Results(PARAMETERS))
    assert table_figure(table, "Table II", "test", 50).startswith(b"\x89PNG")
    names = {run: run for run in FRAMES}
    by_angle = accuracy_by_angle(FRAMES, ANGLES)
    assert angle_figure(by_angle, names, "by angle").startswith(b"\x89PNG")
    untouched = by_angle[by_angle.axis == "untouched"]  # a set too small to hold any angle
    assert angle_figure(untouched, names, "by angle").startswith(b"\x89PNG")
