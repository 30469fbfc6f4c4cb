import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.report.confusion import (
    NONE,
    REJECTED,
    align,
    confused_pairs,
    row_percentages,
    viseme_accuracy,
    viseme_confusion,
    word_confusion,
)

# P AH T against B AH T: the first viseme is the same; PIT has another vowel, AT no consonant first
VISEMES = {"PAT": ["P", "AH", "T"], "BAT": ["P", "AH", "T"], "PIT": ["P", "IH", "T"],
           "AT": ["AH", "T"]}  # fmt: skip
sequences = st.lists(st.sampled_from("abc"), max_size=6)


def predictions(answers):
    """[(spoken, read or '')] as a prediction table; '' is a rejected clip."""
    return pd.DataFrame(
        {
            "clip_id": [f"c{n:02d}" for n in range(len(answers))],
            "label": [spoken for spoken, _ in answers],
            "top5": [np.array([read] if read else []) for _, read in answers],
        }
    )


def distance(a, b):
    """Levenshtein's distance by its definition."""
    if not a or not b:
        return len(a) + len(b)
    replaced = distance(a[1:], b[1:]) + (a[0] != b[0])
    return min(replaced, distance(a[1:], b) + 1, distance(a, b[1:]) + 1)


@given(sequences, sequences)
def test_an_alignment_holds_both_sequences_and_is_the_shortest(spoken, read):
    pairs = align(spoken, read)
    assert [one for one, _ in pairs if one != NONE] == spoken
    assert [other for _, other in pairs if other != NONE] == read
    assert (NONE, NONE) not in pairs
    assert sum(one != other for one, other in pairs) == distance(tuple(spoken), tuple(read))


def test_words_are_counted_over_all_trainings_with_rejects_apart():
    first = predictions([("PAT", "PAT"), ("PAT", "PIT"), ("PIT", ""), ("AT", "AT")])
    second = predictions([("PAT", "PIT"), ("PAT", "PIT"), ("PIT", ""), ("AT", "AT")])
    counts = word_confusion([first, second])
    assert counts.columns.tolist() == ["AT", "PAT", "PIT", REJECTED]
    assert counts.loc["PAT"].tolist() == [0, 1, 3, 0]
    assert counts.loc["PIT"].tolist() == [0, 0, 0, 2]
    assert counts.to_numpy().sum() == 8
    assert row_percentages(counts).loc["PAT"].tolist() == [0, 25, 75, 0]
    pairs = confused_pairs(counts)
    assert pairs.values.tolist() == [["PAT", "PIT", 3, 75.0], ["PIT", REJECTED, 2, 100.0]]


def test_visemes_are_counted_by_hand():
    words = word_confusion(
        [predictions([("PAT", "PIT"), ("PAT", "BAT"), ("AT", "PAT"), ("PIT", "AT"), ("PIT", "")])]
    )
    counts = viseme_confusion(words, VISEMES)
    assert counts.loc["P"].to_dict() == {"AH": 0, "IH": 0, "P": 2, "T": 0, NONE: 1}
    assert counts.loc["AH"].to_dict() == {"AH": 2, "IH": 1, "P": 0, "T": 0, NONE: 0}
    assert counts.loc["IH"].to_dict() == {"AH": 1, "IH": 0, "P": 0, "T": 0, NONE: 0}
    assert counts.loc["T", "T"] == 4
    assert counts.loc[NONE].to_dict() == {"AH": 0, "IH": 0, "P": 1, "T": 0, NONE: 0}
    # a row sums to the visemes spoken, the rejected clip left out
    assert counts.loc["P"].sum() == 3 and counts.loc["T"].sum() == 4


def test_accuracy_of_a_viseme_has_the_interval_of_its_clips():
    words = word_confusion([predictions([("PAT", "PIT"), ("PAT", "PAT"), ("AT", "AT")])] * 2)
    rows = viseme_accuracy(viseme_confusion(words, VISEMES), {"PAT": 2, "AT": 1}, VISEMES)
    by_class = {row["viseme"]: row for row in rows}
    assert set(by_class) == {"P", "AH", "T"}  # no spoken word has IH
    vowel = by_class["AH"]
    assert (vowel["n"], vowel["readings"]) == (3, 6)
    assert vowel["accuracy"] == pytest.approx(200 / 3)
    assert vowel["low"] == pytest.approx(20.77, abs=0.01)  # Wilson of 2 in 3, not of 4 in 6
    assert by_class["P"]["accuracy"] == 100 and by_class["P"]["low"] < 100


def test_words_that_look_alike_are_no_confusion_of_visemes():
    words = word_confusion([predictions([("PAT", "BAT"), ("BAT", "PAT")])])
    assert (viseme_accuracy(viseme_confusion(words, VISEMES), {"PAT": 1, "BAT": 1}, VISEMES))[0][
        "accuracy"
    ] == 100
    assert len(confused_pairs(words)) == 2


def test_a_word_without_a_sequence_is_named():
    words = word_confusion([predictions([("PAT", "PIZZA")])])
    with pytest.raises(KeyError, match="PIZZA"):
        viseme_confusion(words, VISEMES)
