import shutil

import av
import numpy as np
import pytest

from visemix.corpora import lrw
from visemix.media import write_clip


def make_clip(path, frames=29, fps=25):
    pixels = np.random.default_rng(0).integers(0, 255, (frames, 32, 32, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, pixels, np.zeros(frames * 640, np.int16), fps=fps)
    path.with_suffix(".txt").write_text(
        "Disk reference: 1\nChannel: BBC\nProgram start: 1\nClip start: 2\nDuration: 0.36 seconds\n"
    )
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two words with a clip in every split."""
    root = tmp_path_factory.mktemp("lrw")
    for word in ("ABOUT", "PEOPLE"):
        for split in ("train", "val", "test"):
            make_clip(root / "lipread_mp4" / word / split / f"{word}_00001.mp4")
    return root


@pytest.fixture
def corpus(original, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(original, tmp_path / "lrw")


def clip_path(root, clip_id="train/ABOUT_00001"):
    split, stem = clip_id.split("/")
    return root / "lipread_mp4" / stem.split("_")[0] / split / f"{stem}.mp4"


def test_good_corpus(original):
    manifest = lrw.scan(original)
    assert list(manifest["clip_id"]) == [
        f"{split}/{word}_00001"
        for split in ("test", "train", "val")
        for word in ("ABOUT", "PEOPLE")
    ]
    assert set(manifest["status"]) == {"ok"} and set(manifest["corpus"]) == {"lrw"}
    first = manifest.iloc[0]
    assert (first["label"], first["split"], first["n_frames"], first["fps"]) == (
        "ABOUT", "test", 29, 25.0,
    )  # fmt: skip
    assert first["media"] == "lipread_mp4/ABOUT/test/ABOUT_00001.mp4"
    # 29 frames at 25 a second: the middle is at 0.58 s, and 0.36 s of word are centred there
    assert (first["word_start_s"], first["word_end_s"]) == pytest.approx((0.4, 0.76))


def test_processes_give_the_same_manifest(original):
    assert lrw.scan(original, workers=2).equals(lrw.scan(original))


def test_speakers_come_from_their_file(corpus):
    (corpus / "speakers.csv").write_text("clip_id,speaker\ntest/ABOUT_00001,s7\n")
    manifest = lrw.scan(corpus).set_index("clip_id")
    assert manifest.loc["test/ABOUT_00001", "speaker"] == "s7"
    assert manifest.loc["test/PEOPLE_00001", "speaker"] == ""
    (corpus / "speakers.csv").write_text("clip,who\na,b\n")
    with pytest.raises(ValueError, match=r"speakers.csv: needs the columns clip_id,speaker"):
        lrw.scan(corpus)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_with_index_in_front(path):
    """A truncated file that still opens: its index of packets is stored before them."""
    with (
        av.open(str(path)) as source,
        av.open(
            str(path.with_suffix(".fast.mp4")), "w", options={"movflags": "faststart"}
        ) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.with_suffix(".fast.mp4").replace(path)
    path.write_bytes(path.read_bytes()[:-10])  # some bytes of the last packet


def sound_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut_in_half, "cut short or damaged"),
        (cut_with_index_in_front, "cut short: 28 of 29 frames"),
        (lambda p: p.write_bytes(b""), "cut short or damaged"),
        (lambda p: p.write_text("not a video"), "cut short or damaged"),
        (sound_only, "no video stream"),
        (lambda p: make_clip(p, frames=20), "20 frames instead of 29"),
        (lambda p: make_clip(p, fps=30), "30.000 frames a second instead of 25"),
        (lambda p: p.unlink(), "ABOUT_00001.mp4 is missing"),
        (lambda p: p.with_suffix(".txt").unlink(), "ABOUT_00001.txt is missing"),
        (lambda p: p.with_suffix(".txt").write_text("Channel: BBC\n"), "has no line 'Duration"),
        (lambda p: p.with_suffix(".txt").write_text("Duration: x seconds"), "'x' is not within"),
        (lambda p: p.with_suffix(".txt").write_text("Duration: 0 seconds"), "'0' is not within"),
        (lambda p: p.with_suffix(".txt").write_text("Duration: nan seconds"), "not within"),
        (lambda p: p.with_suffix(".txt").write_text("Duration: 1.2 seconds"), "not within"),
    ],
)
def test_what_is_wrong_with_a_clip_is_its_reason(corpus, spoil, reason):
    spoil(clip_path(corpus))
    manifest = lrw.scan(corpus).set_index("clip_id")
    bad = manifest.loc["train/ABOUT_00001"]
    assert bad["status"] == "rejected"
    assert manifest["reason"].str.contains(reason).sum() == 1, bad["reason"]
    assert (manifest["status"] == "ok").sum() == 5


def test_unknown_split_and_foreign_names_are_rejected(corpus):
    top = corpus / "lipread_mp4"
    (top / "ABOUT" / "val").rename(top / "ABOUT" / "dev")
    for end in (".mp4", ".txt"):
        path = clip_path(corpus).with_suffix(end)
        path.rename(path.with_name("ABROAD_00001" + end))
    manifest = lrw.scan(corpus).set_index("clip_id")
    assert "'dev' is none of" in manifest.loc["dev/ABOUT_00001", "reason"]
    assert "not ABOUT_ and a number" in manifest.loc["train/ABROAD_00001", "reason"]
    assert (manifest["status"] == "ok").sum() == 4


def test_words_asked_for(corpus):
    assert len(lrw.scan(corpus, words=["PEOPLE", "ABOUT"])) == 6
    with pytest.raises(FileNotFoundError, match=r"the word CHOICE; correct corpus\.words"):
        lrw.scan(corpus, words=["ABOUT", "PEOPLE", "CHOICE"])
    wrong = r"the word Peopel \(did you mean PEOPLE\?\), about \(did you mean ABOUT\?\); .*2 words"
    with pytest.raises(FileNotFoundError, match=wrong):
        lrw.scan(corpus, words=["about", "Peopel"])


def test_clips_of_other_words_are_left_out_and_counted(corpus, caplog):
    """A part of a corpus is no error, and no rejected clips: they would count as wrong."""
    manifest = lrw.scan(corpus, words=["ABOUT"])
    assert manifest["label"].tolist() == ["ABOUT"] * 3 and set(manifest["status"]) == {"ok"}
    assert "3 clips are left out, those of 1 of the 2 words there;" in caplog.text
    caplog.clear()
    lrw.scan(corpus)
    assert "left out" not in caplog.text


def test_missing_folders_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="set the corpus root"):
        lrw.scan(tmp_path)
    (tmp_path / "lipread_mp4").mkdir()
    with pytest.raises(FileNotFoundError, match="no clip found"):
        lrw.scan(tmp_path)


def test_hidden_files_are_no_clips(corpus):
    folder = clip_path(corpus).parent
    (folder / "._ABOUT_00001.mp4").write_bytes(b"resource fork")
    (corpus / "lipread_mp4" / ".DS_Store").mkdir()
    assert (lrw.scan(corpus)["status"] == "ok").sum() == 6


def test_real_words(real_clips):
    manifest = lrw.scan(real_clips / "lrw_layout")
    assert len(manifest) == 12 and set(manifest["status"]) == {"ok"}
    assert (manifest["word_end_s"] + manifest["word_start_s"]).to_numpy() == pytest.approx(1.16)
    assert manifest["sha256"].nunique() == 12
