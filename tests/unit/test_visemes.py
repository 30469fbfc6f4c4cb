from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visemix.visemes import (
    MAPS,
    PronunciationError,
    phonemes_of,
    read_viseme_map,
    viseme_classes,
    viseme_table,
    visemes_of,
)

MAP_NAMES = sorted(p.name.removesuffix(".csv") for p in MAPS.iterdir() if p.name != "sources.csv")
LRW_WORDS = (files("visemix.corpora") / "lrw_words.txt").read_text().split()


def sequence(word, map_name="constructed-18"):
    return visemes_of(phonemes_of(word), read_viseme_map(map_name))


def test_all_500_lrw_words_have_18_class_labels():
    table = viseme_table(LRW_WORDS, "constructed-18")
    assert len(table) == len(set(table.word)) == 500
    assert {len(m) for m in table.multi_hot} == {18}
    assert all(1 <= sum(m) <= 18 for m in table.multi_hot)


@pytest.mark.parametrize("pair", [("bet", "bat"), ("choke", "joke")])
@pytest.mark.parametrize("name", ["constructed-18", "constructed-18-silence"])
def test_words_that_lipgen_calls_alike_share_a_sequence(pair, name):
    assert sequence(pair[0], name) == sequence(pair[1], name)


def test_words_with_other_lip_shapes_differ():
    assert sequence("bet") != sequence("get")
    assert sequence("choke") != sequence("smoke")


@pytest.mark.parametrize("name", MAP_NAMES)
def test_sources_name_every_map_and_its_size(name):
    lines = (MAPS / "sources.csv").read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"{name},"))
    assert int(row.split(",")[1]) == len(viseme_classes(read_viseme_map(name)))


def test_comments_and_stress_are_cut():
    assert phonemes_of("about") == ["AH", "B", "AW", "T"]
    extra = {"VISEMIX": "V IH1 Z M IH0 K S # made up"}
    assert phonemes_of("visemix", extra) == ["V", "IH", "Z", "M", "IH", "K", "S"]


def test_unknown_word_says_how_to_add_it(tmp_path):
    with pytest.raises(PronunciationError, match=r"XYZZYQ.*visemes\.pronunciations"):
        viseme_table(["ABOUT", "XYZZYQ"], "constructed-18")
    path = tmp_path / "extra.txt"
    path.write_text("XYZZYQ Z IH1 Z IY0\n")
    assert viseme_table(["XYZZYQ"], "constructed-18", path).phonemes[0] == ["Z", "IH", "Z", "IY"]


def test_a_phoneme_without_class_is_an_error():
    with pytest.raises(PronunciationError, match="HH"):
        sequence("house", "jeffers-barley-tcdtimit")


def test_unknown_map_lists_the_known_ones():
    with pytest.raises(ValueError, match="constructed-18"):
        read_viseme_map("nosuchmap")


@given(st.lists(st.sampled_from(LRW_WORDS), min_size=1, max_size=5, unique=True))
def test_multi_hot_marks_exactly_the_visemes_of_the_sequence(words):
    classes = viseme_classes(read_viseme_map("constructed-18"))
    for row in viseme_table(words, "constructed-18").itertuples():
        assert {c for c, on in zip(classes, row.multi_hot, strict=True) if on} == set(row.visemes)
