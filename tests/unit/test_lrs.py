import shutil

import numpy as np
import pytest

from visemix.corpora import lrs, lrw, words
from visemix.media import write_clip

PRETRAIN = """Text:  THE CAT'S OUT
Conf:  4
Ref:  0Fi83BHQsMA

 FRAME \tX \tY \tW \tH
000000 \t0.350 \t0.222 \t0.251 \t0.446
000001 \t0.351 \t0.222 \t0.251 \t0.446

WORD START END ASDSCORE
THE 0.55 0.71 5.1
CAT'S 0.71 1.05 -2.3
OUT 1.05 1.40 6.0
"""
MAIN = "Text:  THE CAT'S OUT\nConf:  3\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    pixels = np.random.default_rng(0).integers(0, 255, (50, 32, 32, 3), dtype=np.uint8)
    write_clip(path, pixels, np.zeros(50 * 640, np.int16))
    return path


def put(root, video, clip, text):
    path = root / f"{clip}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(video, path)
    path.with_suffix(".txt").write_text(text)
    return path


@pytest.fixture
def lrs3(video, tmp_path):
    root = tmp_path / "lrs3"
    put(root, video, "pretrain/0Fi83BHQsMA/00001", PRETRAIN)
    put(root, video, "trainval/0Fi83BHQsMA/50001", PRETRAIN)
    put(root, video, "trainval/0Fi83BHQsMA/50002", PRETRAIN)
    put(root, video, "test/0Zwb3aYMEyo/00001", PRETRAIN)
    return root


@pytest.fixture
def lrs2(video, tmp_path):
    root = tmp_path / "mvlrs_v1"
    put(root, video, "pretrain/5535415699068794046/00001", PRETRAIN.replace(" ASDSCORE", ""))
    for number in (1, 2, 3):
        put(root, video, f"main/553541569906879404{number}/00001", MAIN)
    (root / "pretrain.txt").write_text("5535415699068794046/00001\n")
    (root / "train.txt").write_text("5535415699068794041/00001\n")
    (root / "val.txt").write_text("5535415699068794042/00001\n")
    (root / "test.txt").write_text("5535415699068794043/00001 NF\n")
    return root


def test_lrs3(lrs3):
    manifest = lrs.scan(lrs3)
    assert dict(zip(manifest["clip_id"], manifest["split"], strict=True)) == {
        "pretrain/0Fi83BHQsMA/00001": "train",
        "test/0Zwb3aYMEyo/00001": "test",
        "trainval/0Fi83BHQsMA/50001": "train",
        "trainval/0Fi83BHQsMA/50002": "train",
    }
    assert set(manifest["status"]) == {"ok"} and set(manifest["text"]) == {"THE CAT'S OUT"}
    assert set(manifest["speaker"]) == {"0Fi83BHQsMA", "0Zwb3aYMEyo"}
    assert set(manifest["n_frames"]) == {50} and set(manifest["corpus"]) == {"lrs3"}
    assert len(lrs.scan(lrs3, pretrain=False)) == 3
    assert lrs.scan(lrs3, workers=2).equals(manifest)


def test_a_list_makes_the_validation_split_of_lrs3(lrs3, tmp_path):
    (tmp_path / "valid.id").write_text("trainval/0Fi83BHQsMA/50002\n")
    manifest = lrs.scan(lrs3, validation_list=tmp_path / "valid.id").set_index("clip_id")
    assert manifest.loc["trainval/0Fi83BHQsMA/50002", "split"] == "val"
    assert (manifest["split"] == "val").sum() == 1
    (tmp_path / "valid.id").write_text("trainval/0Fi83BHQsMA/50009\n")
    with pytest.raises(FileNotFoundError, match="1 of its clips are not in"):
        lrs.scan(lrs3, validation_list=tmp_path / "valid.id")


@pytest.mark.parametrize("above", [False, True])
def test_lrs2_with_its_lists_beside_or_above(lrs2, above):
    if above:
        for path in lrs2.glob("*.txt"):
            path.rename(lrs2.parent / path.name)
    manifest = lrs.scan(lrs2, "lrs2")
    assert list(manifest["split"]) == ["train", "val", "test", "train"]
    assert set(manifest["status"]) == {"ok"} and set(manifest["speaker"]) == {""}
    assert lrs.read_transcript(lrs2, manifest["media"][0]).words == ()
    assert len(lrs.read_transcript(lrs2, manifest["media"][3]).words) == 3


def test_the_lists_of_lrs2_and_its_clips_must_agree(lrs2):
    (lrs2 / "train.txt").write_text("9/00001\n")
    rows = lrs.scan(lrs2, "lrs2").set_index("clip_id")
    assert rows.loc["main/9/00001", "reason"] == "00001.mp4 is missing"
    assert "names the clip" in rows.loc["main/5535415699068794041/00001", "reason"]
    (lrs2 / "train.txt").write_text("5535415699068794042/00001\n")
    with pytest.raises(ValueError, match=r"is in train.txt and in val.txt"):
        lrs.scan(lrs2, "lrs2")
    (lrs2 / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val.txt: no such list"):
        lrs.scan(lrs2, "lrs2")


def test_times_of_words(lrs3):
    transcript = lrs.read_transcript(lrs3, "test/0Zwb3aYMEyo/00001.mp4")
    assert [(w.word, w.start, w.end) for w in transcript.words] == [
        ("THE", 0.55, 0.71), ("CAT'S", 0.71, 1.05), ("OUT", 1.05, 1.40),
    ]  # fmt: skip


def test_other_orders_of_the_blocks(lrs3):
    path = lrs3 / "test/0Zwb3aYMEyo/00001.txt"
    head, frames, table = PRETRAIN.strip().split("\n\n")
    for blocks in ([table, frames, head], [head, table], ["Conf: 3", table, "Text: THE CAT'S OUT"]):
        path.write_text("\n\n\n".join(blocks) + "\n")
        transcript = lrs.read_transcript(lrs3, "test/0Zwb3aYMEyo/00001.mp4")
        assert transcript.text == "THE CAT'S OUT" and len(transcript.words) == 3
    path.write_bytes("Text:  CAFÉ\n".encode("latin-1"))
    assert lrs.read_transcript(lrs3, "test/0Zwb3aYMEyo/00001.mp4").text == "CAFÉ"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:1000]), "cut short or damaged"),
        (lambda p: p.unlink(), "00001.mp4 is missing"),
        (lambda p: p.with_suffix(".txt").unlink(), "00001.txt is missing"),
        (lambda p: p.with_suffix(".txt").write_text("Conf:  3\n"), "has no line 'Text:"),
        (lambda p: p.with_suffix(".txt").write_text("Text:  \n"), "the transcript is empty"),
        (
            lambda p: p.with_suffix(".txt").write_text(MAIN + "\nWORD START END\nTHE x 1\n"),
            "line 5: expected 'word start end', not 'THE x 1'",
        ),
        (
            lambda p: p.with_suffix(".txt").write_text(MAIN + "\nWORD START END\nTHE 2.5 2.9\n"),
            "but the clip ends at 2 s",
        ),
    ],
)
def test_broken_clips_are_rejected_with_a_reason(lrs3, spoil, reason):
    spoil(lrs3 / "test/0Zwb3aYMEyo/00001.mp4")
    manifest = lrs.scan(lrs3).set_index("clip_id")
    assert reason in manifest.loc["test/0Zwb3aYMEyo/00001", "reason"]
    assert set(manifest.drop("test/0Zwb3aYMEyo/00001")["status"]) == {"ok"}


def test_folders_that_are_not_the_corpus(lrs3, lrs2, tmp_path):
    (tmp_path / "empty").mkdir()
    for corpus in ("lrs2", "lrs3"):
        with pytest.raises(FileNotFoundError, match="no folder"):
            lrs.scan(tmp_path / "empty", corpus)
    with pytest.raises(ValueError, match="corpus is 'lrs4'"):
        lrs.scan(lrs3, "lrs4")
    with pytest.raises(ValueError, match="LRS2 has a validation list of its own"):
        lrs.scan(lrs2, "lrs2", validation_list="x")


def test_word_clips_of_lrs3(lrs3, tmp_path):
    assert words.main(["lrs3", str(lrs3), str(tmp_path / "words"), "--words", "cat's"]) == 0
    clips = lrw.scan(tmp_path / "words")
    assert list(clips["clip_id"]) == [
        "test/CAT'S_00001", "train/CAT'S_00001", "train/CAT'S_00002", "train/CAT'S_00003",
    ]  # fmt: skip
    assert set(clips["status"]) == {"ok"}
