import shutil

import pytest

from visemix.corpora import grid
from visemix.corpora.found import corpora_table
from visemix.corpora.manifest import read_manifest, write_manifest
from visemix.corpora.sentences import TranscriptError

ALIGN = """0 22000 sil
22000 28500 lay
28500 36750 blue
36750 41500 at
41500 48000 q
48000 55500 six
55500 64750 please
64750 74500 sil
"""


@pytest.fixture
def corpus(real_clips, tmp_path):
    """Folders as the archives unpack them; every clip is the same recording."""
    root = tmp_path / "grid"
    for speaker in ("s1", "s3", "s5"):
        (root / speaker).mkdir(parents=True)
        shutil.copy(real_clips / "grid/s1_lbaq6p.mpg", root / speaker / "lbaq6p.mpg")
        (root / "alignments" / speaker).mkdir(parents=True)
        (root / "alignments" / speaker / "lbaq6p.align").write_text(ALIGN)
    return root


def test_real_clips(real_clips, tmp_path):
    manifest = grid.scan(real_clips / "grid", unknown_speakers="train")
    assert len(manifest) == 8 and set(manifest["status"]) == {"ok"}
    assert set(manifest["n_frames"]) == {75} and set(manifest["fps"]) == {25.0}
    rows = manifest.set_index("clip_id")
    assert rows.loc["train/_brbk7n", "text"] == "BIN RED BY K SEVEN NOW"
    assert rows.loc["train/_lwbsza", "text"] == "LAY WHITE BY S ZERO AGAIN"
    first = rows.loc["test/s1_lbaq6p"]
    assert (first["speaker"], first["media"], first["label"]) == ("s1", "s1_lbaq6p.mpg", "")
    write_manifest(manifest, tmp_path / "grid.parquet")
    assert read_manifest(tmp_path / "grid.parquet").equals(manifest)


def test_times_of_words(real_clips):
    transcript = grid.read_transcript(real_clips / "grid", "s1_lbaq6p.mpg")
    assert [w.word for w in transcript.words] == transcript.text.split()
    assert transcript.text == "LAY BLUE AT Q SIX PLEASE"
    lay, *_, please = transcript.words
    # 1000 is a frame of 40 ms
    assert (lay.start, lay.end) == pytest.approx((0.88, 1.14))
    assert (please.start, please.end) == pytest.approx((2.22, 2.59))
    assert grid.read_transcript(real_clips / "grid", "brbk7n.mpg").words == ()


def test_speakers_are_the_units_of_the_split(corpus):
    manifest = grid.scan(corpus, workers=2)
    assert list(manifest["clip_id"]) == ["test/s1_lbaq6p", "train/s5_lbaq6p", "val/s3_lbaq6p"]
    assert set(manifest["status"]) == {"ok"}
    other = grid.scan(corpus, test_speakers=["s5"], val_speakers=["s1"])
    assert list(other["clip_id"]) == ["test/s5_lbaq6p", "train/s3_lbaq6p", "val/s1_lbaq6p"]
    with pytest.raises(ValueError, match="s5 is for test and for validation"):
        grid.scan(corpus, test_speakers=["s5"], val_speakers=["s5"])


def test_an_unknown_speaker_is_rejected_unless_its_split_is_given(real_clips, tmp_path):
    shutil.copy(real_clips / "grid/brbk7n.mpg", tmp_path)
    row = grid.scan(tmp_path).iloc[0]
    assert row["status"] == "rejected" and "the speaker is unknown" in row["reason"]
    assert grid.scan(tmp_path, unknown_speakers="test").iloc[0]["clip_id"] == "test/_brbk7n"


@pytest.mark.parametrize("place", ["s1", "s1/align", "align/s1", "alignments/s1"])
def test_places_of_the_times(corpus, place):
    shutil.rmtree(corpus / "alignments")
    media = "s1/video/mpg_6000/lbaq6p.mpg" if place == "s1/align" else "s1/lbaq6p.mpg"
    (corpus / media).parent.mkdir(parents=True, exist_ok=True)
    (corpus / place).mkdir(parents=True, exist_ok=True)
    (corpus / place / "lbaq6p.align").write_text(ALIGN)
    assert len(grid.read_transcript(corpus, media).words) == 6
    assert grid.read_transcript(corpus, "s3/lbaq6p.mpg").words == ()  # times of another speaker


def test_of_two_resolutions_of_a_clip_one_counts(corpus):
    (corpus / "s1/video/mpg_6000").mkdir(parents=True)
    shutil.copy(corpus / "s1/lbaq6p.mpg", corpus / "s1/video/mpg_6000/lbaq6p.mpg")
    assert list(grid.scan(corpus)["media"]).count("s1/lbaq6p.mpg") == 1
    assert len(grid.scan(corpus)) == 3


def clip(root):
    return root / "s5/lbaq6p.mpg"


def align(root):
    return root / "alignments/s5/lbaq6p.align"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda r: clip(r).write_bytes(b""), "cut short or damaged"),
        (lambda r: clip(r).write_text("not a video"), "cut short or damaged"),
        (lambda r: clip(r).rename(r / "s5/lbawzz.mpg"), "'lbawzz' is no sentence of GRID"),
        (lambda r: align(r).write_text("0 1 lay\n1 blue\n"), "line 2: expected 'start end word'"),
        (lambda r: align(r).write_text("0 x lay\n"), "line 1: expected 'start end word'"),
        (lambda r: align(r).write_text(ALIGN.replace("six", "two")), "says 'LAY BLUE AT Q TWO"),
        (lambda r: align(r).write_text(ALIGN.replace("48000 55500", "9 9")), "not 0 <= start <"),
        (lambda r: align(r).write_text(ALIGN.replace("55500 64750", "75500 84750")), "ends at 3 s"),
        (lambda r: align(r).write_text(ALIGN.replace("22000 28500", "29000 29500")), "word before"),
    ],
)
def test_broken_clips_are_rejected_with_a_reason(corpus, spoil, reason):
    spoil(corpus)
    manifest = grid.scan(corpus).set_index("speaker")
    assert manifest.loc["s5", "status"] == "rejected"
    assert reason in manifest.loc["s5", "reason"]
    assert set(manifest.drop("s5")["status"]) == {"ok"}


def test_names_outside_the_grammar():
    assert grid.sentence("sgib8n") == "SET GREEN IN B EIGHT NOW"
    for name in ("brbw7n", "brbk0n", "brbk7", "brbk7nn", "xrbk7n"):  # no letter w, zero is z
        with pytest.raises(TranscriptError, match="no sentence of GRID's grammar"):
            grid.sentence(name)


def test_what_is_missing_is_counted(corpus, tmp_path):
    train = corpora_table([corpus]).set_index("split").loc["train"]
    assert (train["clips"], train["missing"]) == (1, 26_999) and "zenodo.org" in train["remedy"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no .mpg file"):
        grid.scan(tmp_path / "empty")
