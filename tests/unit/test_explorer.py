"""The explorer of predictions, on made-up predictions of few words and of LRW's 500."""

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.helpers.workflow import REPOSITORY

from visemix.config.parameters import resolve_parameters
from visemix.report import explorer
from visemix.report.site import open_site

PARAMETERS = resolve_parameters(yaml.safe_load((REPOSITORY / "params.yaml").read_text()))


def predictions(words, clips_per_word, seed=0, speakers=lambda clip: ""):
    """A prediction table in which four of five clips are right."""
    rng = np.random.default_rng(seed)
    rows = []
    for word in words:
        for clip in range(clips_per_word):
            order = rng.permutation([other for other in words if other != word])[:4].tolist()
            correct = bool(rng.random() < 0.8)
            top = [word, *order] if correct else [*order, word]
            rows.append(
                {
                    "clip_id": f"test/{word}_{clip:05d}", "label": word, "speaker": speakers(clip),
                    "top5": top, "top5_probability": [0.5, 0.2, 0.1, 0.1, 0.1][: len(top)],
                    "label_probability": 0.5 if correct else 0.1 * rng.random(),
                    "correct": correct, "rejected": False,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_by_word_and_by_speaker_count_the_clips_of_all_trainings():
    tables = [predictions(["ABOUT", "PEOPLE"], 20, seed, lambda c: f"s{c % 4}") for seed in (0, 1)]
    found = explorer.explore(tables, {"ABOUT": ["A", "T"], "PEOPLE": ["P", "L"]}, [0, 1])
    for key, column, n in (("words", "label", 20), ("speakers", "speaker", 10)):
        for row in found[key]:
            name = row.get("word") or row["speaker"]
            right = [t.correct[t[column] == name].mean() for t in tables]
            assert row["accuracy"] == pytest.approx(100 * np.mean(right))
            assert row["n"] == n and row["low"] < row["accuracy"] < row["high"]
    assert [len(found["words"]), len(found["speakers"])] == [2, 4]
    assert [row["accuracy"] for row in found["words"]] == sorted(
        row["accuracy"] for row in found["words"]
    )
    diagonal = {name: shares[i] for i, (name, shares) in enumerate(found["matrix"]["rows"])}
    assert diagonal == pytest.approx({row["word"]: row["accuracy"] for row in found["words"]})
    assert found["clips_rule"] == "all clips" and len(found["clips"]) == 40
    assert [c["right"] for c in found["clips"]] == (tables[0].correct.astype(int)
                                                   + tables[1].correct).tolist()  # fmt: skip


def test_a_speaker_with_one_clip_is_no_row():
    found = explorer.by_speaker([predictions(["A", "B"], 3, speakers=lambda c: f"only-{c}")])
    assert [row["n"] for row in found] == [2, 2, 2]
    one = predictions(["A"], 3)
    one["speaker"] = ["s0", "s1", ""]
    assert explorer.by_speaker([one]) == []


def test_trainings_on_different_clips_are_refused():
    first, second = predictions(["A", "B"], 3), predictions(["A", "B"], 4)
    with pytest.raises(ValueError, match="different clips"):
        explorer.explore([first, second], {"A": ["A"], "B": ["P"]}, [0, 1])


def test_a_page_of_a_test_set_of_lrws_size_stays_light(tmp_path):
    words = [f"WORD{n:03d}" for n in range(500)]
    table = predictions(words, 20)
    visemes = {word: [f"V{int(digit)}" for digit in word[-3:]] for word in words}
    found = explorer.explore([table], visemes, [0])
    wrong = table[~table.correct].sort_values("label_probability", kind="stable")
    assert [c["clip_id"] for c in found["clips"]] == wrong.clip_id[: explorer.CLIPS_SHOWN].tolist()
    assert found["matrix"] is None  # a picture instead
    assert explorer.word_matrix_picture([table]).startswith(b"\x89PNG")
    site = open_site(tmp_path, PARAMETERS, [])
    html = site.templates.get_template("explorer.html").render(
        e=found, word_matrix="pictures/words.png", predictions_file="p.parquet", root="../"
    )
    assert f"{explorer.CLIPS_SHOWN} of {len(wrong)} wrong clips" in html
    assert html.count("<tr data-kind=") == explorer.CLIPS_SHOWN
    assert len(html) < 1_500_000
