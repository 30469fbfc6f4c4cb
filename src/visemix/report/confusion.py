"""What is taken for what: confusions of words, and of viseme classes by aligning words."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from visemix.tables.results import percent

NONE = "(none)"  # a viseme without a counterpart in the other word
REJECTED = "(rejected)"  # a clip without a crop, which was read as nothing


def word_confusion(predictions: list[pd.DataFrame]) -> pd.DataFrame:
    """Readings by spoken word (rows) and first answer (columns), both in alphabetical order.

    predictions: one prediction table a training, with columns label and top5. A reading is one
    clip by one training; the sum is clips x trainings. Rejected clips are in column REJECTED.
    """
    together = pd.concat(predictions)
    read = together.top5.map(lambda top: top[0] if len(top) else REJECTED)
    counts = pd.crosstab(together.label.to_numpy(), read.to_numpy())
    words = sorted({*counts.index, *counts.columns} - {REJECTED})
    columns = words + [REJECTED] * (REJECTED in counts.columns)
    return counts.reindex(index=sorted(counts.index), columns=columns, fill_value=0)


def align(spoken: Sequence[str], read: Sequence[str]) -> list[tuple[str, str]]:
    """Align two sequences with the fewest substitutions, omissions and insertions.

    Levenshtein's distance (1966), all three cost 1. Of equally short alignments the one that, from
    the end on, prefers a pair to an omission and an omission to an insertion. Returns (spoken,
    read) pairs in order, NONE on the side where there is nothing.
    """
    cost = np.zeros((len(spoken) + 1, len(read) + 1), int)
    cost[:, 0], cost[0] = np.arange(len(spoken) + 1), np.arange(len(read) + 1)
    for i, one in enumerate(spoken, 1):
        for j, other in enumerate(read, 1):
            pair = cost[i - 1, j - 1] + (one != other)
            cost[i, j] = min(pair, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    i, j, pairs = len(spoken), len(read), []
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (spoken[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((spoken[i], read[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((spoken[i], NONE))
        else:
            j -= 1
            pairs.append((NONE, read[j]))
    return pairs[::-1]


def viseme_confusion(words: pd.DataFrame, visemes: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Viseme classes of the spoken words (rows) against those of the words read (columns).

    words: of `word_confusion`; visemes: {word: its classes in order}. For every reading the two
    words' sequences are aligned (see `align`) and each pair counts once, so that a row sums to the
    visemes of that class in all spoken words. Row NONE are visemes that only the word read has,
    column NONE those that only the spoken word has. Rejected clips are left out. A recogniser of
    words says no visemes: this shows which classes distinguish the confused words, not which mouth
    shape was seen, and it depends on the vocabulary. Raises KeyError for a word without a sequence.
    """
    classes = sorted({one for word in {*words.index} for one in visemes[word]})
    answers = words.drop(columns=REJECTED, errors="ignore")
    others = {one for word in answers.columns for one in visemes[word]}
    names = sorted({*classes, *others})
    counts = pd.DataFrame(0, index=[*names, NONE], columns=[*names, NONE])
    for spoken, row in answers.iterrows():
        for read, readings in row[row > 0].items():
            for pair in align(visemes[spoken], visemes[read]):
                counts.loc[pair] += readings
    return counts


def viseme_accuracy(
    confusion: pd.DataFrame, clips: Mapping[str, int], visemes: Mapping[str, Sequence[str]]
) -> list[dict]:
    """How often each viseme class of a spoken word stands at its place in the word read too.

    confusion: of `viseme_confusion`; clips: {word: cropped test clips}. Entries {viseme, readings,
    n, accuracy, low, high}, per cent. n is the number of clips whose word has the class: visemes
    of one clip, and trainings, are not independent, so the 95% Wilson interval is that of n.
    """
    rows = []
    for viseme in confusion.index.drop(NONE):
        readings = int(confusion.loc[viseme].sum())
        if not readings:  # no spoken word has it
            continue
        n = sum(number for word, number in clips.items() if viseme in visemes[word])
        found = percent(confusion.loc[viseme, viseme] / readings, n)
        rows.append({"viseme": viseme, "readings": readings, "n": n} | found)
    return rows


def row_percentages(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts as per cent of their row; a row without any stays 0."""
    return 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)


def confused_pairs(words: pd.DataFrame) -> pd.DataFrame:
    """Wrong answers, the most frequent first: columns spoken, read, readings, percent.

    percent is of all readings of the spoken word; equals are in alphabetical order.
    """
    counts = words.rename_axis(index="spoken", columns="read").stack().rename("readings")
    pairs = counts[counts > 0].reset_index()
    pairs["percent"] = 100 * pairs.readings / pairs.spoken.map(words.sum(axis=1))
    pairs = pairs[pairs.spoken != pairs.read]
    order = ["readings", "spoken", "read"]
    return pairs.sort_values(order, ascending=[False, True, True], ignore_index=True)
