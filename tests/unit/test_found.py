import shutil

import numpy as np
import pytest

from visemix.cli import main
from visemix.corpora.found import corpora_table
from visemix.media import write_clip


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """LRW with a good and a bad clip, and LRS2 without its lists of validation and test."""
    root = tmp_path_factory.mktemp("corpora")
    clip = root / "lrw/lipread_mp4/ABOUT/train/ABOUT_00001.mp4"
    clip.parent.mkdir(parents=True)
    write_clip(clip, np.zeros((29, 32, 32, 3), np.uint8), np.zeros(29 * 640, np.int16))
    clip.with_suffix(".txt").write_text("Duration: 0.4 seconds\n")
    (clip.parent / "ABOUT_00002.mp4").write_bytes(b"")
    (root / "lrs2/main/1").mkdir(parents=True)
    shutil.copy(clip, root / "lrs2/main/1/00001.mp4")
    (root / "lrs2/train.txt").write_text("1/00001\n")
    (root / "notes").mkdir()
    return root


def test_counts_and_what_is_missing(corpora):
    table = corpora_table([corpora])
    lrs2, *lrw = table.to_dict("records")
    assert lrs2["corpus"] == "LRS2" and "val.txt: no such list of clips" in lrs2["remedy"]
    train, _, test = lrw
    assert (train["split"], train["clips"], train["usable"]) == ("train", 2, 1)
    assert (train["expected"], train["missing"]) == (488_766, 488_765)
    assert (test["clips"], test["missing"]) == (0, 25_000) and "robots.ox" in test["remedy"]
    assert corpora_table([corpora / "lrw", corpora / "lrs2"])["corpus"].iloc[-1] == "LRS2"


def test_word_clips_have_no_expected_counts(corpora, tmp_path):
    shutil.copytree(corpora / "lrw", tmp_path / "words")
    (tmp_path / "words/cuts.csv").write_text("")
    table = corpora_table([tmp_path])
    assert list(table["corpus"]) == ["word clips"] and list(table["expected"]) == [""]


def test_real_clips_are_recognised(real_clips):
    table = corpora_table([real_clips])
    assert list(table["corpus"].unique()) == ["GRID", "LRW"]
    grid = table[table["corpus"] == "GRID"].set_index("split")
    assert grid.loc["test", "usable"] == 2 and grid.loc["test", "missing"] == 3_998


def test_the_command(corpora, tmp_path, capsys):
    assert main(["corpora", str(corpora)]) == 0
    assert "488765" in capsys.readouterr().out
    assert main(["corpora", str(corpora / "notes")]) == 1
    assert "no known corpus" in capsys.readouterr().err
    assert main(["corpora", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
