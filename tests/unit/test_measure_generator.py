import json

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.clips.shard_writer import CropRecord, write_crops
from visemix.clips.shards import ShardError
from visemix.config.parameters import resolve_parameters
from visemix.evaluation import MIXED, OBSERVER
from visemix.evaluation.statistics import ONE_TRAINING
from visemix.report.generators_page import write_page_of_generators
from visemix.report.site import open_site
from visemix.synthesis.measure_generator import measure_generator, read_pairs, speed
from visemix.tables.generator_sheet import EVERY, LABEL, sheet
from visemix.tables.generator_table import COLUMNS, read_measures, table, to_markdown

WORDS = ("ABOUT", "PEOPLE")
CLIPS, FRAMES = 8, 6
TILE = 96


def clip_id(number):
    return f"val/{WORDS[number % 2]}_{number:05d}"


def write_set(folder, brightness, rejects=(), **parameters):
    """Clips whose frame t is grey level 20 clip + 4 t + brightness."""
    records = []
    for number in sorted(range(CLIPS), key=clip_id):
        made = number not in rejects
        levels = 20 * number + 4 * np.arange(FRAMES) + brightness
        crops = np.repeat(levels, TILE * TILE).astype(np.uint8).reshape(FRAMES, TILE, TILE)
        quality = (
            {"landmark_distance": 2.0 + number, "still_landmark_distance": 1.0} if made else {}
        )
        reason = "" if made else "silent sound"
        records.append(
            CropRecord(
                clip_id(number),
                WORDS[number % 2],
                crops if made else None,
                quality if made else {},
                reason=reason,
            )
        )
    write_crops(folder, records, parameters)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An evaluation set that is 10 levels too bright, with clip 3 rejected, and the real clips."""
    base = tmp_path_factory.mktemp("sets")
    made = write_set(base / "made", 10, rejects=(3,), role="evaluation")
    (base / "seconds.csv").write_text(
        "".join(f"{clip_id(n)},0.1,{0.1 * (n + 1)}\n" for n in (0, 1, 2, 0))
    )
    return made, write_set(base / "real", 0)


def predictions(right, clips=range(CLIPS)):
    """A prediction table in an order of its own; `right`: numbers of the clips that were read."""
    rows = [{"clip_id": clip_id(n), "correct": n in right} for n in reversed(clips)]
    return pd.DataFrame(rows)


def features(clips):
    """The mean grey level of each frame, and a second, constant feature."""
    levels = [clip.mean((1, 2)) for clip in clips]
    return [np.stack([level, np.ones_like(level)], axis=1) for level in levels]


@pytest.fixture(scope="module")
def found(folders):
    tables = {
        OBSERVER: {"real": [predictions({0, 1, 2, 3})] * 2,
                   "made": [predictions({0, 1}), predictions({0, 1, 2, 5})]},
        MIXED: {"real": [predictions(range(8))] * 2, "made": [predictions(range(6))] * 2},
    }  # fmt: skip

    def sync(crops, sound):
        late = 0 if crops[0, 0, 0] % 20 == 0 else sound[0]  # real clips are in sync
        return late, 0.5 if late == 0 else 0.1

    return measure_generator(
        *folders, folders[0].parent / "seconds.csv", features, tables,
        sync, lambda clip: np.array([int(clip[-5:]) % 3]), mixed_with="somebody",
    )  # fmt: skip


def measured(found):
    return {one["key"]: one for one in found["measures"]}


def test_clips_and_rejects_are_counted(found):
    assert (found["drawn"], found["made"]) == (8, 7)
    assert found["rejected"] == {"silent sound": 1}
    assert found["split"] == "val" and "test split" in found["why"]


def test_reconstruction_is_beside_that_of_a_still(found):
    psnr = measured(found)["psnr"]
    assert psnr["value"] == pytest.approx(20 * np.log10(255 / 10), abs=1e-3)
    assert psnr["low"] == pytest.approx(psnr["value"]) and psnr["n"] == 7
    # a still differs by 0, 4, .. 20 levels: mean square 16 x 55 / 6
    still = 10 * np.log10(255**2 / (16 * 55 / 6))
    assert psnr["reference"]["value"] == pytest.approx(still, abs=1e-3)
    landmarks = measured(found)["landmark_distance"]
    assert landmarks["value"] == pytest.approx(2 + (28 - 3) / 7)
    assert landmarks["reference"]["value"] == 1
    assert "mouth_distance" not in measured(found)


def test_distances_are_named_after_the_front_end(found):
    fid = measured(found)["fid"]
    assert fid["name"] == "FID on the features of run lipgen-R2's front-end"
    assert fid["value"] == pytest.approx(100)  # all levels shifted by 10
    assert (fid["n"], fid["frames"]) == (7, 42)
    assert measured(found)["kid"]["value"] > 0


def test_synchrony_is_beside_that_of_the_real_clips(found):
    # of clips 0, 1, 2, 4, 5, 6, 7 the sound is late by 0, 1, 2, 1, 2, 0, 1 frames
    offset, share = measured(found)["sync_offset"], measured(found)["in_sync"]
    assert offset["value"] == pytest.approx(1) and offset["reference"]["value"] == 0
    assert share["value"] == pytest.approx(5 / 7) and share["reference"]["value"] == 1
    confidence = measured(found)["sync_confidence"]
    assert confidence["value"] == pytest.approx((2 * 0.5 + 5 * 0.1) / 7)
    assert confidence["reference"]["value"] == pytest.approx(0.5)


def test_reading_counts_rejected_clips_and_averages_trainings(found):
    observer = measured(found)[f"accuracy_{OBSERVER}"]
    assert observer["value"] == pytest.approx((2 / 8 + 4 / 8) / 2) and observer["n"] == 8
    assert observer["low"] == pytest.approx(0.1368, abs=1e-4)  # Wilson, 3 of 8
    assert observer["reference"]["value"] == 0.5
    mismatch = measured(found)[f"mismatch_{OBSERVER}"]
    assert mismatch["value"] == pytest.approx(-1 / 8)
    # gains of the clips: 0, 0, -1/2, -1, 0, 1/2, 0, 0, whose standard error is 0.15665
    assert mismatch["high"] - mismatch["value"] == pytest.approx(2.36462 * 0.15665, rel=1e-3)
    assert mismatch["trainings"] == 2 and 0.4 < mismatch["p"] < 0.5
    assert measured(found)[f"mismatch_{MIXED}"]["value"] == -0.25
    assert "those of somebody" in measured(found)[f"accuracy_{MIXED}"]["name"]


def test_predictions_of_other_clips_are_refused(folders):
    tables = {
        run: {"real": [predictions({0}, range(5))], "made": [predictions({0})]}
        for run in (OBSERVER, MIXED)
    }
    with pytest.raises(ValueError, match="other clips; evaluate it again"):
        measure_generator(*folders, folders[0].parent / "seconds.csv", features, tables)


def test_speed_is_the_median_clip_timed_last(found):
    speed = measured(found)["clips_per_second"]
    assert speed["n"] == 3  # seconds 0.2, 0.3, 0.4
    assert speed["value"] == pytest.approx(1 / 0.3)
    assert speed["low"] == pytest.approx(1 / 0.4) and speed["high"] == pytest.approx(1 / 0.2)


def test_speed_is_that_of_the_device_of_most_clips(tmp_path):
    path = tmp_path / "seconds.csv"
    path.write_text("a,0,1\n")
    assert speed(path)["device"] == "a device that is not recorded"
    path.write_text("a,0,9,cpu\nb,0,9,cpu\na,0,1,a GPU\nc,0,1,a GPU\n")
    found = speed(path)
    assert found["device"] == "a GPU" and "one process on a GPU" in found["name"]
    assert found["n"] == 2 and found["value"] == pytest.approx(1)


def test_sets_that_do_not_belong_together_or_are_missing_are_told(folders, tmp_path):
    write_crops(tmp_path / "other", [CropRecord("x", "A", np.zeros((6, 96, 96), np.uint8))], {})
    with pytest.raises(ValueError, match=r"7 clips that .* lacks, 'val/ABOUT_00000'"):
        read_pairs(folders[0], tmp_path / "other")
    with pytest.raises(ShardError, match="nowhere"):
        read_pairs(tmp_path / "nowhere", folders[1])


def test_everything_rejected_is_told_not_raised(folders, tmp_path):
    write_set(tmp_path / "made", 0, rejects=range(CLIPS))
    tables = {r: {k: [predictions({0})] for k in ("real", "made")} for r in (OBSERVER, MIXED)}
    (tmp_path / "seconds.csv").touch()
    found = measure_generator(
        tmp_path / "made", folders[1], tmp_path / "seconds.csv", features, tables
    )
    assert found["made"] == 0 and found["rejected"] == {"silent sound": 8}
    assert measured(found)["psnr"]["value"] is None
    rows = table({"one": json.loads(json.dumps(found))})
    assert "not measured" in to_markdown(rows, {"one": found}, "test")


def test_the_table_has_a_row_a_measure_and_generator(found, tmp_path):
    found = json.loads(json.dumps(found))
    measures = {"one": found, "two": found}
    rows = table(measures)
    assert rows.columns.tolist() == COLUMNS
    assert rows["generator"].tolist() == ["one", "two"] * len(found["measures"])
    assert rows["n"].notna().all()
    text = to_markdown(rows, measures, "miniature")
    assert "| PSNR (dB) | higher | one | 28.1 [28.1, 28.1], n = 7 |" in text
    assert "expert" not in text.split("* one")[1]
    expert = {"sync_expert": {"found": 7, "found_in_others": 1, "n": 8}}
    told = to_markdown(rows, {"one": found | expert}, "miniature")
    assert "in 87.5% [52.9%, 97.8%] of 8 clips" in told  # Wilson
    assert "chance, in 12.5% [2.2%, 47.1%] of 8 clips" in told
    assert "* two: 7 of 8 clips made, rejected: 1 x silent sound" in text


def test_mismatch_is_resolved_by_the_one_rule(found):
    found = json.loads(json.dumps(found))
    for one in found["measures"]:
        if one.get("p") is not None:
            one |= {"p": 0.01, "trainings": 2, "value": -0.2}
    single = json.loads(json.dumps(found))
    single["measures"][-2]["trainings"] = 1  # of MIXED's mismatch; the speed stands last
    rows = table({"one": found, "two": single})
    tested = rows[rows.p.notna()]
    assert tested.p_holm.tolist() == pytest.approx([0.04] * 4)
    assert tested.verdict.tolist() == [*["resolved, lower"] * 3, ONE_TRAINING]
    assert (rows.verdict[rows.p.isna()] == "").all()
    text = to_markdown(rows, {"one": found, "two": single}, "miniature")
    assert text.count("p (Holm) = 0.04: resolved, lower") == 3
    assert text.count(f"p (Holm) = 0.04: {ONE_TRAINING}") == 1


def test_measures_that_are_missing_or_of_another_version_are_told(found, tmp_path):
    with pytest.raises(FileNotFoundError, match="not measured; run `snakemake generators`"):
        read_measures(tmp_path / "measures.json")
    (tmp_path / "measures.json").write_text(json.dumps(found | {"version": 99}))
    with pytest.raises(ValueError, match="version 99"):
        read_measures(tmp_path / "measures.json")


def decoded(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_sheets_of_two_generators_are_aligned_frame_by_frame(folders, tmp_path):
    other = write_set(tmp_path / "other", 30, rejects=(0,))
    one, two = (decoded(sheet({name: f}, folders[1])) for name, f in
                (("one", folders[0]), ("two", other)))  # fmt: skip
    height = LABEL + TILE
    assert one.shape == two.shape == (4 * height, TILE * FRAMES // EVERY)

    def pixels(picture, row, column):
        top, left = row * height + LABEL, column * TILE
        return np.unique(picture[top : top + TILE, left : left + TILE]).tolist()

    for column in range(3):
        level = 4 * column * EVERY
        for row, clip in ((0, 0), (2, 1)):  # the first clip of each word, as it is
            assert pixels(one, row, column) == pixels(two, row, column) == [20 * clip + level]
        assert pixels(one, 1, column) == [10 + level]
        assert pixels(two, 1, column) == [0]  # rejected
        assert pixels(two, 3, column) == [50 + level]


def test_the_page_shows_every_value_and_every_reject(folders, found, tmp_path):
    found = json.loads(json.dumps(found))
    rows = table({"one": found})
    facts = {"generator": "one", "training_sheet": b"png", "measured": {"one": found}}
    facts |= {
        "rows": rows.to_dict("records"),
        "sheet": sheet({"one": folders[0]}, folders[1]),
    }
    site = open_site(
        tmp_path, resolve_parameters(yaml.safe_load((REPOSITORY / "params.yaml").read_text())), []
    )
    write_page_of_generators(site, facts)
    text = (tmp_path / "generators.html").read_text()
    assert all(name.replace("'", "&#39;") in text for name in rows["name"])
    assert "1 x silent sound" in text and "28.1 [28.1, 28.1], n = 7" in text
    assert (tmp_path / "pictures/generators-sheet.png").read_bytes() == facts["sheet"]
