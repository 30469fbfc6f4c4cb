"""The predictions of one run on one test set, by word, by speaker and by clip."""

from pathlib import Path

import pandas as pd

from visemix.report import figures
from visemix.report.confusion import (
    REJECTED,
    confused_pairs,
    row_percentages,
    viseme_accuracy,
    viseme_confusion,
    word_confusion,
)
from visemix.tables.results import summarise

CLIPS_SHOWN = 1000  # more make a page heavy; the rest is in predictions.parquet
PAIRS_SHOWN = 100
SPEAKERS_SHOWN = 200
WORDS_IN_MATRIX = 40


def explore(
    predictions: list[pd.DataFrame], visemes: dict[str, list[str]], seeds: list[int]
) -> dict:
    """All that the explorer of a cell page shows, for templates/explorer.html.

    predictions: one prediction table a seed, the same clips in the same order (as
    evaluation.predictions.predict writes them); visemes: {word: its classes in order}.
    """
    words = word_confusion(predictions)
    cropped = predictions[0][~predictions[0].rejected]
    matrix = viseme_confusion(words, visemes)
    pairs = confused_pairs(words)
    speakers = by_speaker(predictions)
    return {
        "n": len(predictions[0]),
        "seeds": seeds,
        "words": by_word(predictions, pairs),
        "speakers": speakers[:SPEAKERS_SHOWN],
        "speakers_in_all": len(speakers),
        "speakers_named": cropped.speaker[cropped.speaker != ""].nunique(),
        "pairs": pairs.head(PAIRS_SHOWN).to_dict("records"),
        "pairs_in_all": len(pairs),
        "matrix": as_matrix(words) if len(words.columns) <= WORDS_IN_MATRIX else None,
        "viseme_matrix": as_matrix(matrix),
        "visemes": viseme_accuracy(matrix, cropped.label.value_counts().to_dict(), visemes),
        "rejected_readings": int(words[REJECTED].sum()) if REJECTED in words else 0,
        **clip_list(predictions),
    }


def as_matrix(counts: pd.DataFrame) -> dict:
    """Per cent of each row, for the template: `columns`, and `rows` as (name, values) pairs."""
    values = row_percentages(counts).to_numpy().tolist()
    rows = list(zip(counts.index, values, strict=True))
    return {"columns": counts.columns.tolist(), "rows": rows}


def word_matrix_picture(predictions: list[pd.DataFrame]) -> bytes | None:
    """PNG of the confusions of words, first seed, where they are too many for a table."""
    words = sorted(predictions[0].label.unique())
    if len(words) <= WORDS_IN_MATRIX:
        return None
    return figures.confusion_matrix(row_percentages(word_confusion(predictions[:1])), words)


def _by(predictions: list[pd.DataFrame], column: str) -> dict[str, dict]:
    """`summarise` of the clips of each value of a column; rows are alike in all tables."""
    if any(not frame.clip_id.equals(predictions[0].clip_id) for frame in predictions):
        raise ValueError(
            "the trainings of a run were tested on different clips; evaluate all of them again"
        )
    groups = predictions[0].groupby(column).indices
    return {
        key: summarise([frame.iloc[rows] for frame in predictions]) for key, rows in groups.items()
    }


def by_word(predictions: list[pd.DataFrame], pairs: pd.DataFrame) -> list[dict]:
    """A row a word, the worst first: word, accuracy, low, high (%), n, and what it is read as."""
    taken_for = {word: rows.head(3) for word, rows in pairs.groupby("spoken")}
    rows = []
    for word, summary in _by(predictions, "label").items():
        read = taken_for.get(word, pairs[:0])
        taken = ", ".join(f"{row.read} ({row.percent:.0f}%)" for row in read.itertuples())
        rows.append({"word": word, "taken_for": taken} | summary)
    return sorted(rows, key=lambda row: (row["accuracy"], row["word"]))


def by_speaker(predictions: list[pd.DataFrame]) -> list[dict]:
    """A row a speaker with at least two clips, the worst first.

    One clip says nothing about a speaker; those of unnamed speakers, and rejected ones, are left
    out as well.
    """
    rows = [
        {"speaker": speaker} | summary
        for speaker, summary in _by(predictions, "speaker").items()
        if speaker and summary["n"] > 1
    ]
    return sorted(rows, key=lambda row: (row["accuracy"], -row["n"], row["speaker"]))


def clip_list(predictions: list[pd.DataFrame]) -> dict:
    """`clips` of the first seed for the list, and `clips_rule`, which says which they are.

    All of a small test set; of a larger one the wrong ones to whose true word the recogniser gave
    the least probability.
    """
    first = predictions[0].reset_index(drop=True)
    right = sum(frame.correct.to_numpy(int) for frame in predictions)
    first = first.assign(right=right)
    rule = "all clips"
    if len(first) > CLIPS_SHOWN:
        wrong = first[~first.correct].sort_values("label_probability", kind="stable")
        first = wrong.head(CLIPS_SHOWN)
        rule = (
            f"{len(first)} of {len(wrong)} wrong clips, those to whose true word the recogniser "
            "gave the least probability"
        )
    top = zip(first.top5, first.top5_probability, strict=True)
    first = first.assign(top=[list(zip(*both, strict=True)) for both in top])
    clips = first.rename(columns={"label_probability": "probability"})
    return {"clips": clips.to_dict("records"), "clips_rule": rule}


def read_viseme_sequences(map_name: str) -> dict[str, list[str]]:
    """{word: viseme classes in order} of data/visemes/<map>.parquet."""
    table = pd.read_parquet(Path("data/visemes") / f"{map_name}.parquet")
    return {row.word: list(row.visemes) for row in table.itertuples()}
