import json

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.toy_clips import WORDS, make_toy

from visemix.config.model import Recogniser
from visemix.evaluation.predictions import metrics_of, predict, write_evaluation
from visemix.evaluation.statistics import speakers_of
from visemix.models.word_recogniser import WordRecogniser
from visemix.tables.results import summarise
from visemix.training.recogniser import write_recogniser

MODEL = Recogniser(
    n_words=len(WORDS),
    input_size=32,
    width=4,
    temporal_shift=[0.0, 0.0, 0.25, 0.25],
    blocks=1,
    layers=1,
    dilations=[1],
    growth=12,
    reduced=16,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """An untrained run, and a test set with two rejected clips."""
    folder = tmp_path_factory.mktemp("evaluation")
    torch.manual_seed(0)
    weights = WordRecogniser(MODEL).state_dict()
    (folder / "run").mkdir()
    write_recogniser(folder / "run", weights, MODEL, WORDS)
    return folder / "run", make_toy(folder / "test", 20, rejected=2)


def test_every_clip_has_a_row_and_rejected_ones_count_as_errors(folders):
    table = predict(*folders, WORDS, batch_size=7)
    assert len(table) == 22
    assert table["clip_id"].is_monotonic_increasing
    good, bad = table[~table["rejected"]], table[table["rejected"]]
    assert len(bad) == 2
    assert not bad["correct"].any()
    assert bad["speaker"].tolist() == ["speaker-0", "speaker-1"]  # of the crop set's rejects
    assert len(set(speakers_of(table))) == 7  # not a cluster for every clip
    assert set(good["speaker"]) == {f"speaker-{n}" for n in range(7)}
    for row in good.itertuples():
        assert sorted(row.top5) == sorted(WORDS)
        assert list(row.top5_probability) == sorted(row.top5_probability, reverse=True)
        assert sum(row.top5_probability) == pytest.approx(1, abs=1e-5)
        assert row.correct == (row.top5[0] == row.label)
        at = row.top5.index(row.label)
        assert row.label_probability == pytest.approx(row.top5_probability[at])
    metrics = metrics_of(table)
    assert metrics["n"] == 22
    assert metrics["rejected"] == 2
    assert metrics["accuracy"] == table["correct"].sum() / 22
    assert metrics["interval"][0] < metrics["accuracy"] < metrics["interval"][1]
    assert metrics["top5_accuracy"] == 20 / 22


def test_a_flipped_bit_is_refused_before_anything_is_predicted(folders, tmp_path):
    crops = make_toy(tmp_path / "test", 3)
    content = bytearray((crops / "shard-00000.npy").read_bytes())
    content[5000] ^= 1
    (crops / "shard-00000.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"shard-00000.npy: its sha256 is .* delete manifest.json"):
        predict(folders[0], crops, WORDS)


def test_rejected_clips_can_be_left_out_and_are_still_told(folders, tmp_path):
    counted = predict(*folders, WORDS, batch_size=7)
    table = predict(*folders, WORDS, batch_size=7, rejected_are_errors=False)
    good = counted[~counted["rejected"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(table, good)
    metrics = write_evaluation(tmp_path, table, {})
    assert (metrics["n"], metrics["rejected"], metrics["rejected_left_out"]) == (20, 0, 2)
    assert metrics["accuracy"] == counted["correct"].sum() / 20
    assert metrics["top5_accuracy"] == 1
    read = pd.read_parquet(tmp_path / "predictions.parquet")
    row = summarise([read])
    assert (row["n"], row["rejected"]) == (20, 2)
    row = summarise([counted])
    assert (row["n"], row["rejected"]) == (22, 2)
    assert metrics_of(counted)["rejected_left_out"] == 0


def test_a_set_of_rejects_alone_has_no_accuracy_without_them(folders, tmp_path):
    make_toy(tmp_path / "none", 0, rejected=3)
    assert metrics_of(predict(folders[0], tmp_path / "none", WORDS))["accuracy"] == 0
    with pytest.raises(ValueError, match=r"all 3 clips .*rejected_are_errors: true"):
        predict(folders[0], tmp_path / "none", WORDS, rejected_are_errors=False)


def test_batch_size_has_no_part_in_the_result(folders):
    few, many = predict(*folders, WORDS, batch_size=3), predict(*folders, WORDS, batch_size=64)
    assert few["top5"].tolist() == many["top5"].tolist()
    np.testing.assert_allclose(few["label_probability"], many["label_probability"], atol=1e-5)


def test_shuffled_frames_depend_on_the_seed_alone(folders, tmp_path):
    rng = np.random.default_rng(0)
    run, _ = folders
    # Frames that differ, so that their order can matter.
    from visemix.clips.shard_writer import CropRecord, write_crops

    records = [
        CropRecord(f"clip-{n}", WORDS[n % 3], rng.integers(0, 255, (8, 96, 96), dtype=np.uint8))
        for n in range(6)
    ]
    write_crops(tmp_path / "moving", records, {})
    plain = predict(run, tmp_path / "moving", WORDS)["label_probability"]
    first, again, other = (
        predict(run, tmp_path / "moving", WORDS, shuffle_frames=True, seed=seed)[
            "label_probability"
        ]
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first - plain).abs().max() > 1e-6
    assert (first - other).abs().max() > 1e-6


def test_other_words_are_refused(folders, tmp_path):
    run, test = folders
    with pytest.raises(ValueError, match="in another order"):
        predict(run, test, WORDS[::-1])
    torch.manual_seed(0)
    fewer = MODEL.model_copy(update={"n_words": 2})
    weights = WordRecogniser(fewer).state_dict()
    write_recogniser(tmp_path, weights, fewer, WORDS[:2])
    with pytest.raises(ValueError, match="'CHILD'"):
        predict(tmp_path, test, WORDS[:2])
    with pytest.raises(FileNotFoundError, match="train it first"):
        predict(tmp_path / "none", test, WORDS)


def test_files_hold_the_table_and_the_metrics(folders, tmp_path):
    table = predict(*folders, WORDS)
    metrics = write_evaluation(tmp_path, table, {"seed": 3})
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert metrics["seed"] == 3
    read = pd.read_parquet(tmp_path / "predictions.parquet")
    assert [list(top) for top in read["top5"]] == table["top5"].tolist()
    first = (tmp_path / "predictions.parquet").read_bytes()
    write_evaluation(tmp_path, predict(*folders, WORDS), {"seed": 3})
    assert (tmp_path / "predictions.parquet").read_bytes() == first
