"""From phonemes to mouths: seals, rounding, coarticulation."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.heads.articulation import (
    ARTICULATOR_NAMES,
    DIPHTHONGS,
    VISEMES,
    Style,
    curves,
    frame_visemes,
    random_style,
    segments,
    unit_weights,
    visemes_of,
)
from visemix.heads.model import FIVE_POINTS, load_head

Phoneme = namedtuple("Phoneme", "start end text")


def sentence(*mnemonics, length=0.1):
    return [Phoneme(i * length, (i + 1) * length, m) for i, m in enumerate(mnemonics)]


def mouth(phonemes, time, style=Style()):  # noqa: B008 (a frozen value)
    """Vertices (V, 3) of the mean head at one moment."""
    head = load_head()
    values = curves(segments(phonemes), np.array([time]), style)
    return head.animate(head.mean, unit_weights(values, head.unit_names, style))


def gap(*arguments):
    return float(load_head().lip_gap(mouth(*arguments))[0])


def test_every_listed_phoneme_has_its_viseme():
    for viseme, (phonemes, _) in VISEMES.items():
        for phoneme in phonemes.split():
            assert visemes_of(phoneme) == [viseme], phoneme
    for diphthong in DIPHTHONGS:
        assert len(visemes_of(diphthong)) == 2, diphthong


def test_stress_marks_and_unknown_mnemonics():
    assert visemes_of("'E") == visemes_of("E") == ["eh"]
    assert visemes_of(",m") == ["PP"]
    assert all(visemes_of(pause) == ["sil"] for pause in ("", "_", "_:", "_|", "_::"))
    assert visemes_of("E~") == ["ah"] and visemes_of("q") == ["DD"]


@given(st.lists(st.sampled_from(list(VISEMES)), min_size=1, max_size=8), st.integers(0, 2**31))
def test_curves_stay_between_the_targets(visemes, seed):
    """A dominance-weighted mean never leaves the range of what is averaged (Cohen & Massaro)."""
    style = random_style(np.random.default_rng(seed))
    segs = [(0.1 * i, 0.1 * (i + 1), v) for i, v in enumerate(visemes)]
    values = curves(segs, np.linspace(-0.5, 1.5, 60), style)
    targets = np.array([[VISEMES[v][1].get(a, 0) for a in ARTICULATOR_NAMES] for v in visemes])
    assert (values <= targets.max(0) + 1e-9).all() and (values >= targets.min(0) - 1e-9).all()
    weights = unit_weights(values, load_head().unit_names, style)
    assert (weights >= 0).all() and (weights <= 1.1).all()


@pytest.mark.parametrize("vowel", ["A:", "a", "i:", "u:", "E"])
def test_bilabials_seal_and_open_vowels_open(vowel):
    for consonant in "pbm":
        assert gap(sentence(vowel, consonant, vowel), 0.15) < 0.012, (vowel, consonant)
    assert gap(sentence("m", "A:", "m", length=0.2), 0.3) > 0.12


def test_lips_round_for_w_and_tuck_for_f():
    neutral = load_head().mean[FIVE_POINTS[3:], 0]
    corners = mouth(sentence("_", "w", "u:"), 0.15)[0, FIVE_POINTS[3:], 0]
    assert abs(np.diff(corners)) < 0.9 * abs(np.diff(neutral))
    values = curves(segments(sentence("A:", "f", "A:")), np.array([0.15]), Style())[0]
    assert values[ARTICULATOR_NAMES.index("roll_lower")] > 0.6


def test_neighbours_are_heard_of_unless_sharp():
    """The same /s/ is rounder before /u:/ than before /i:/, except without coarticulation."""
    funnel = ARTICULATOR_NAMES.index("pucker")

    def rounding(vowel, style):
        segs = segments(sentence("_", "s", vowel))
        return curves(segs, np.array([0.15]), style)[0, funnel]

    smooth, sharp = Style(), Style(sharp=True)
    assert rounding("u:", smooth) > rounding("i:", smooth) + 0.05
    assert rounding("u:", sharp) == pytest.approx(rounding("i:", sharp), abs=0.01)


def test_diphthongs_are_split_in_the_middle():
    assert segments([Phoneme(0.0, 0.2, "aI")]) == [(0.0, 0.1, "ae"), (0.1, 0.2, "ih")]


def test_frame_visemes_name_the_segment_or_silence():
    segs = segments(sentence("m", "A:"))
    assert frame_visemes(segs, np.array([-0.1, 0.05, 0.15, 0.25])) == ["sil", "PP", "aa", "sil"]
