import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.corpora.miniature import make_corpus
from visemix.faces.crops import crop_clip
from visemix.generators import fitted_head, viseme
from visemix.generators.base import GenerationError, Utterance, mouth_motion
from visemix.heads.articulation import DIPHTHONGS, VISEMES, segments
from visemix.visemes import phonemes_of

PEOPLE = tuple(phonemes_of("PEOPLE"))
SAID = Utterance(np.ones(18560, np.int16), "PEOPLE", 0.36, 0.8, PEOPLE)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return viseme.VisemeGenerator(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def still(model, tmp_path_factory):
    root = tmp_path_factory.mktemp("rendered")
    make_corpus(root, ["MONEY"], {"train": 1, "val": 0, "test": 0}, portraits=1, seed=3)
    return model.prepare(root / "portraits" / "portrait-0000.png")


def test_a_portrait_says_the_word_in_its_time_and_rests_outside(model, still):
    frames = model.generate(still, SAID, 29, seed=1)
    assert frames.shape == (29, 256, 256, 3) and frames.dtype == np.uint8
    assert mouth_motion(crop_clip(frames, model.detector).crops) > 10
    change = np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3))
    word = slice(9, 20)  # frames of 0.36..0.8 s
    assert change[word].min() > 0 and change[word].mean() > 20 * change[:3].mean()
    assert change[word].mean() > 20 * change[25:].mean()


def test_the_sound_is_not_looked_at_and_the_seed_draws_a_style(model, still):
    noise = np.random.default_rng(0).integers(-9000, 9000, 18560).astype(np.int16)
    one = model.generate(still, SAID, 29, seed=1)
    other = dataclasses.replace(SAID, sound=noise)
    assert (model.generate(still, other, 29, seed=1) == one).all()
    assert (model.generate(still, SAID, 29, seed=2) != one).any()


def test_lips_close_for_p_and_open_for_the_vowel(model, still, monkeypatch):
    drawn = []
    monkeypatch.setattr(fitted_head, "draw_still", lambda still, weights: drawn.append(weights))
    model.generate(still, SAID, 29, seed=1)
    names = fitted_head.MOUTH_UNITS
    opening = drawn[0][:, names.index("jawOpen")] - drawn[0][:, names.index("mouthClose")]
    spoken = segments(viseme.place_phonemes(SAID, 29 / 25))
    middles = {
        name: opening[int((start + end) / 2 * 25)] for start, end, name in spoken if name != "sil"
    }
    assert middles["PP"] < 0.05 < middles["ee"]
    assert opening[:6].max() < 0.02 and opening[-6:].max() < 0.02


@given(
    st.lists(st.sampled_from(sorted(viseme.MNEMONICS)), min_size=1, max_size=12),
    st.floats(0, 1.0), st.floats(0.05, 1.0),
)  # fmt: skip
def test_phonemes_fill_the_words_time_without_gaps(phonemes, start, length):
    said = Utterance(SAID.sound, "WORD", start, start + length, tuple(phonemes))
    placed = viseme.place_phonemes(said, 1.16)
    assert placed[0].start == 0 and placed[-1].end == 1.16
    assert all(a.end == b.start for a, b in itertools.pairwise(placed))
    assert all(p.end > p.start for p in placed)
    word = [p for p in placed if p.text != "_"]
    assert [p.text for p in word] == [viseme.MNEMONICS[p] for p in phonemes]
    assert word[0].start == start and word[-1].end == min(1.16, start + length)


def test_every_phoneme_has_a_mouth_and_a_length():
    assert len(viseme.MNEMONICS) == 39  # ARPAbet as in CMUdict, without stress
    assert set(viseme._LENGTH) == set(viseme.MNEMONICS)
    known = {p for phonemes, _ in VISEMES.values() for p in phonemes.split()}
    for mnemonic in viseme.MNEMONICS.values():
        assert mnemonic in known or mnemonic in DIPHTHONGS


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"phonemes": ()}, "no pronunciation of 'PEOPLE'"),
        ({"phonemes": ("P", "XX")}, "'XX', which is not ARPAbet"),
        ({"word_start_s": math.nan}, "not known when"),
        ({"word_start_s": 1.3, "word_end_s": 1.5}, "outside of the clip"),
    ],
)
def test_words_that_cannot_be_said_are_refused(model, still, change, reason):
    with pytest.raises(GenerationError, match=reason):
        model.generate(still, dataclasses.replace(SAID, **change), 29, 0)
