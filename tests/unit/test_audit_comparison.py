"""By how much an artifact that was re-run differs from the recorded one."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from tests.helpers.toy_words import in_older_words

from visemix.audit.comparison import compare_files, describe_difference
from visemix.audit.recorded import UnreadableError, contradictions, training_record
from visemix.config.model import Recogniser
from visemix.config.training import Training
from visemix.run.atomic import write_json


@pytest.fixture
def pair(tmp_path):
    """Makes a recorded and a remade file of one name."""
    (tmp_path / "again").mkdir()
    return lambda name: (tmp_path / name, tmp_path / "again" / name)


def test_json_records_are_compared_but_for_times_and_places(pair):
    first, second = pair("training.json")
    write_json(first, {"seed": 0, "wall_seconds": 1.5, "best": {"step": 3}, "digests": {"a": "b"}})
    write_json(second, {"seed": 0, "wall_seconds": 9.0, "best": {"step": 3}, "digests": {}})
    assert describe_difference(first, second) == ""
    write_json(second, {"seed": 0, "wall_seconds": 9.0, "best": {"step": 4}})
    assert describe_difference(first, second) == "best.step: 3, again 4"


def test_digests_inside_lists_are_not_compared_either(pair):
    first, second = pair("mixture.json")
    write_json(first, {"sources": [{"clips": 3, "manifest_sha256": "a"}]})
    write_json(second, {"sources": [{"clips": 3, "manifest_sha256": "b"}]})
    assert describe_difference(first, second) == ""
    write_json(second, {"sources": [{"clips": 4, "manifest_sha256": "b"}]})
    assert "'clips': 3" in describe_difference(first, second)


def test_weights(pair):
    first, second = pair("model.safetensors")
    weights = {"a": np.zeros(3, np.float32), "b": np.ones((2, 2), np.float32)}
    save_file(weights, first)
    save_file(weights | {"b": weights["b"] + np.float32(0.25)}, second)
    assert describe_difference(first, second) == "1 of 2 tensors differ, b by 0.25 at most"
    save_file({"a": weights["a"]}, second)
    assert describe_difference(first, second) == "weights of another network"


def test_frames(pair):
    first, second = pair("shard-00000.npy")
    frames = np.full((4, 2, 2), 100, np.uint8)
    np.save(first, frames)
    frames[2, 0, 1] = 93
    np.save(second, frames)
    assert describe_difference(first, second) == "1 of 4 frames differ, by 7 grey levels at most"
    np.save(second, frames[:3])
    assert describe_difference(first, second) == "3 frames instead of 4"


def test_rows(pair):
    first, second = pair("predictions.parquet")
    table = pd.DataFrame({"clip_id": ["a", "b"], "top5": [["x", "y"], []], "correct": [True, True]})
    table.to_parquet(first)
    table.assign(correct=[True, False]).to_parquet(second)
    assert describe_difference(first, second) == "correct in 1 of 2 rows"
    table[:1].to_parquet(second)
    assert describe_difference(first, second) == "1 rows instead of 2"
    table.drop(columns="top5").to_parquet(second)
    assert describe_difference(first, second).startswith("columns clip_id, correct instead of")
    table.to_parquet(second, compression="gzip")
    assert describe_difference(first, second) == "equal rows in a file of other bytes"


def test_a_file_that_was_not_made_again_is_no_equal_file(pair, monkeypatch):
    first, second = pair("history.csv")
    first.write_text("step\n1\n")
    monkeypatch.chdir(first.parent)
    entry = compare_files([first.relative_to(first.parent)], second.parent)[0]
    assert not entry["equal"]
    assert entry["difference"] == "was not re-run"


def test_a_record_from_before_the_branch_had_a_choice_is_read_as_what_it_was(tmp_path):
    config = Recogniser(
        n_words=3, viseme_branch="shared", tafm_on="words", lambda_=0.1, gamma=math.inf
    )
    model = config.to_json()
    old = in_older_words(config)
    del old["tafm_on"]
    old |= {"viseme_branch": True, "tafm": True}
    path = tmp_path / "training.json"
    path.write_text(json.dumps({"version": 1, "model": old}))
    found = training_record(path)["model"]
    assert found == model
    changed = model | {"viseme_branch": "own", "tafm_on": "visemes"}
    assert contradictions(found, changed) == [
        "viseme_branch is 'shared' instead of 'own'", "tafm_on is 'words' instead of 'visemes'",
    ]  # fmt: skip
    path.write_text(json.dumps({"version": 4}))
    with pytest.raises(UnreadableError, match="version 4; this code reads 1, 2, 3"):
        training_record(path)


def test_a_record_of_version_2_is_compared_in_todays_words(tmp_path):
    config = Recogniser(n_words=3)
    augmentation = {"flip": 0.5, "brightness": 0.3, "contrast": 0.3, "time_mask": 4}
    path = tmp_path / "training.json"
    old = {"version": 2, "model": in_older_words(config), "training": {"steps": 6}}
    old["training"]["augmentation"] = augmentation
    path.write_text(json.dumps(old))
    found = training_record(path)
    assert found["model"] == config.to_json()
    assert contradictions(found["training"], Training(steps=6, time_mask=4).model_dump()) == [
        "colour_jitter is 0.3 instead of 0.2"
    ]
    old["model"]["backend"]["growth"] = 13  # no network has it: to be named, never a traceback
    path.write_text(json.dumps(old))
    with pytest.raises(UnreadableError, match=r"no network any more .*model\.growth = 13"):
        training_record(path)
