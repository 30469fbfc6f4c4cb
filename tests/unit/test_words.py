import csv
import shutil

import numpy as np
import pandas as pd
import pytest

from visemix.corpora import grid, lrw, words
from visemix.faces.crops import crop_clip
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip


@pytest.fixture(scope="module")
def sentences(real_clips, tmp_path_factory):
    """One recording under the names of three speakers, and a damaged one of s1."""
    root = tmp_path_factory.mktemp("grid")
    for speaker in ("s1", "s3", "s5"):
        (root / speaker).mkdir()
        for suffix in ("mpg", "align"):
            source = real_clips / f"grid/s1_lbaq6p.{suffix}"
            shutil.copy(source, root / speaker / f"lbaq6p.{suffix}")
    for suffix in ("mpg", "align"):
        shutil.copy(real_clips / f"grid/s1_sgib8n.{suffix}", root / "s1" / f"sgib8n.{suffix}")
    return root


@pytest.fixture(scope="module")
def manifest(sentences):
    return grid.scan(sentences)


def cut(manifest, sentences, folder, **options):
    return words.cut_words(manifest, sentences, grid.read_transcript, folder, **options)


@pytest.fixture(scope="module")
def cut_corpus(manifest, sentences, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    cut(manifest, sentences, folder)
    return folder


def test_the_reader_of_lrw_reads_the_clips(cut_corpus):
    clips = lrw.scan(cut_corpus).set_index("clip_id")
    assert set(clips["status"]) == {"ok"}
    assert set(clips["label"]) == {"LAY", "BLUE", "SIX", "PLEASE", "SET", "GREEN", "EIGHT", "NOW"}
    assert clips.groupby("split")["speaker"].unique().map(list).to_dict() == {
        "test": ["s1"], "train": ["s5"], "val": ["s3"],
    }  # fmt: skip
    blue = clips.loc["train/BLUE_00001"]  # 0.33 s long: 28500 to 36750
    assert (blue["word_start_s"], blue["word_end_s"]) == pytest.approx((0.415, 0.745))
    details = (cut_corpus / "lipread_mp4/BLUE/train/BLUE_00001.txt").read_text().split("\n")
    assert details[4] == "Duration: 0.330 seconds"  # the line that published readers take


def test_pictures_and_sound_are_those_of_the_word(cut_corpus, sentences):
    whole = read_clip(sentences / "s5/lbaq6p.mpg", sound=True)
    clip = read_clip(cut_corpus / "lipread_mp4/BLUE/train/BLUE_00001.mp4", sound=True)
    assert clip.frames.shape == (29, 288, 360, 3)
    difference = [
        np.abs(clip.frames.astype(int) - whole.frames[first : first + 29]).mean()
        for first in range(12, 25)
    ]
    assert 12 + np.argmin(difference) == 18  # the middle is at 1.305 s, in frame 32 = 18 + 14
    expected = whole.sound[18 * 640 : 47 * 640].astype(float)
    assert np.corrcoef(clip.sound[: len(expected)], expected)[0, 1] > 0.95


def test_mouths_are_found_in_the_clips(cut_corpus):
    frames = read_clip(cut_corpus / "lipread_mp4/SIX/val/SIX_00001.mp4").frames
    mouth = crop_clip(frames, RetinaFace())
    assert mouth.crops.shape == (29, 96, 96) and mouth.quality["interpolated_frames"] == 0


def assert_alike(path, other):
    """The same pictures, but for what an encoder does, and the same sound."""
    clip, expected = read_clip(path, sound=True), read_clip(other, sound=True)
    assert np.array_equal(clip.sound, expected.sound)
    assert np.abs(clip.frames.astype(int) - expected.frames).mean() < 0.5


def test_processes_give_the_same_files(manifest, sentences, cut_corpus, tmp_path):
    table = cut(manifest, sentences, tmp_path, workers=2)
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(cut_corpus) for p in cut_corpus.rglob("*") if p.is_file())
    for file in files:
        if file.suffix == ".mp4":  # an encoder need not give the same bytes for every size
            assert_alike(tmp_path / file, cut_corpus / file)
        else:
            assert (tmp_path / file).read_bytes() == (cut_corpus / file).read_bytes()
    read = pd.read_csv(tmp_path / "cuts.csv", keep_default_na=False)
    assert list(read["clip_id"]) == list(table["clip_id"])


def test_an_interrupted_run_goes_on(manifest, sentences, cut_corpus, tmp_path):
    folder = shutil.copytree(cut_corpus, tmp_path / "words")
    kept = folder / "lipread_mp4/SIX/test/SIX_00001.mp4"
    lost = folder / "lipread_mp4/LAY/test/LAY_00001.mp4"
    half = folder / "lipread_mp4/SET/test/SET_00001.mp4"
    kept.write_bytes(b"kept")
    lost.unlink()
    half.with_suffix(".txt").write_text("Source: another sentence\n")
    half.write_bytes(b"half")
    cut(manifest, sentences, folder)
    assert kept.read_bytes() == b"kept"
    for path in (lost, half):
        assert_alike(path, cut_corpus / path.relative_to(folder))
        details = path.with_suffix(".txt").read_text()
        assert details == (cut_corpus / path.relative_to(folder)).with_suffix(".txt").read_text()
    assert (folder / "cuts.csv").read_bytes() == (cut_corpus / "cuts.csv").read_bytes()


def test_words_near_the_ends(manifest, sentences, tmp_path):
    root = shutil.copytree(sentences, tmp_path / "grid")
    # middles at 0.38 s and 2.8 s: the windows begin 5 frames early and end 10 frames late
    (root / "s5/lbaq6p.align").write_text(
        "5000 14000 lay\n14000 20000 blue\n20000 22000 at\n22000 30000 q\n30000 40000 six\n"
        "66000 74000 please\n"
    )
    chosen = {"words": ["lay", "please"], "workers": 1}
    table = cut(manifest, root, tmp_path / "four", **chosen).set_index(["speaker", "label"])
    lay, please = table.loc[("s5", "LAY")], table.loc[("s5", "PLEASE")]
    assert (lay["first_frame"], lay["repeated"]) == (-5, 5)
    assert lay["reason"] == "5 of 29 frames lie outside the sentence, allowed are 4"
    assert please["repeated"] == 10 and please["clip_id"] == ""
    table = cut(manifest, root, tmp_path / "five", max_repeated=5, **chosen)
    assert list(table.loc[table["speaker"] == "s5", "clip_id"]) == ["train/LAY_00001", ""]
    clip = read_clip(tmp_path / "five/lipread_mp4/LAY/train/LAY_00001.mp4", sound=True)
    still = np.abs(np.diff(clip.frames.astype(int), axis=0)).mean((1, 2, 3))
    assert still[:4].max() < still[5:].mean() / 2
    assert np.abs(clip.sound[: 4 * 640]).max() < 50 < np.abs(clip.sound[6 * 640 :]).max()


def test_take_pads_both_ends():
    frames = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 5, 7, 3), np.uint8)
    sound = np.repeat(np.arange(1, 21, dtype=np.int16), 640)
    pictures, samples = words.take(frames, sound, -4)
    assert pictures.shape == (29, 4, 6, 3)  # even sizes
    assert list(pictures[:, 0, 0, 0]) == [0] * 4 + list(range(20)) + [19] * 5
    assert list(samples[::640]) == [0] * 4 + list(range(1, 21)) + [0] * 5
    assert len(samples) == 29 * 640


def test_windows_centre_the_word():
    assert words.window(0.58, 0.58) == 0
    for start, end in ((1.14, 1.47), (0.88, 1.14), (2.22, 2.59)):
        middle = (words.window(start, end) + 14.5) / 25
        assert abs(middle - (start + end) / 2) <= 0.02  # half a frame


def test_a_damaged_sentence_gives_reasons_not_clips(manifest, sentences, tmp_path):
    root = shutil.copytree(sentences, tmp_path / "grid")
    (root / "s5/lbaq6p.mpg").write_bytes((root / "s5/lbaq6p.mpg").read_bytes()[:200_000])
    table = cut(manifest, root, tmp_path / "words").set_index("speaker")
    reasons = set(table.loc["s5", "reason"])
    assert len(reasons) == 1 and "the manifest says 75" in reasons.pop()
    assert set(table.loc["s5", "clip_id"]) == {""}
    assert set(table.drop("s5")["reason"]) == {""}
    with open(tmp_path / "words/speakers.csv", newline="") as file:
        assert {row["speaker"] for row in csv.DictReader(file)} == {"s1", "s3"}


def test_refusals(manifest, sentences, cut_corpus):
    shared = manifest.assign(speaker="s1")
    with pytest.raises(ValueError, match="speaker s1 is in more than one split"):
        cut(shared, sentences, cut_corpus)
    with pytest.raises(ValueError, match="the word ZEBRA is never said"):
        cut(manifest, sentences, cut_corpus, words=["SIX", "ZEBRA"])
    with pytest.raises(ValueError, match=r"holds clips of another cut, such as BLUE_00001.mp4"):
        cut(manifest, sentences, cut_corpus, words=["SIX"])
    with pytest.raises(ValueError, match="no such word has times"):
        cut(manifest.iloc[:0], sentences, cut_corpus)


def test_speakers_held_out_for_validation(manifest):
    speakers = [f"p{n}" for n in range(400)] + ["", "t"]
    many = manifest.iloc[[0] * len(speakers)].assign(
        clip_id=[f"c{n}" for n in range(len(speakers))],
        speaker=speakers,
        split=["train"] * 401 + ["test"],
    )
    split = words.hold_out(many, 0.25).set_index("speaker")["split"]
    assert 70 < (split == "val").sum() < 130  # 100 expected
    assert split[""] == "train" and split["t"] == "test"
    assert split.equals(words.hold_out(many.iloc[::-1], 0.25).set_index("speaker")["split"][::-1])
    assert not split.equals(words.hold_out(many, 0.25, seed=1).set_index("speaker")["split"])
    assert words.hold_out(many, 0)["split"].equals(many["split"])
    with pytest.raises(ValueError, match=r"the proportion to hold out is 1\.5"):
        words.hold_out(many, 1.5)


def test_the_command(sentences, tmp_path, capsys):
    arguments = ["grid", str(sentences), str(tmp_path / "words"), "--words", "six", "blue"]
    speakers = ["--test-speakers", "s5", "--val-speakers", "s1"]
    assert words.main(arguments + speakers) == 0
    assert capsys.readouterr().out == "6 clips of 2 words (test 2, train 2, val 2)\n"
    assert set(lrw.scan(tmp_path / "words")["status"]) == {"ok"}
    assert words.main(["grid", str(tmp_path / "none"), str(tmp_path / "words")]) == 1
    assert "no .mpg file" in capsys.readouterr().err


def test_silence_where_the_sound_ends_early():
    frames = np.zeros((40, 4, 4, 3), np.uint8)
    _, samples = words.take(frames, np.ones(20 * 640, np.int16), 5)
    assert samples.sum() == 15 * 640 and not samples[15 * 640 :].any()
    _, samples = words.take(frames, np.ones(3 * 640, np.int16), 5)
    assert len(samples) == 29 * 640 and not samples.any()
