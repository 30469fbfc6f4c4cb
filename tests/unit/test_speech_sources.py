import io

import av
import numpy as np
import pytest

from visemix.cli import main
from visemix.corpora import common_voice, librispeech, tedlium
from visemix.corpora.found import corpora_table
from visemix.corpora.speech_manifest import SPEECH_MANIFEST
from visemix.corpora.table import ManifestError
from visemix.corpora.utterances import read_sound_header

RATE = 16_000


def tone(seconds):
    return (np.sin(np.arange(round(seconds * RATE)) / 20) * 8000).astype(np.int16)


def encode(path, kind, seconds):
    """Write a tone as flac or mp3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=kind) as container:
        stream = container.add_stream(kind, rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(seconds)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=RATE)
        for part in resampler.resample(frame):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def sphere(path, seconds):
    """Write a tone as NIST SPHERE: a header of 1024 bytes and 16-bit samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(seconds)
    header = (
        f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_n_bytes -i 2\n"
        "channel_count -i 1\nsample_byte_format -s2 01\nsample_rate -i 16000\n"
        "sample_coding -s3 pcm\nend_head\n"
    )
    path.write_bytes(header.encode().ljust(1024) + samples.tobytes())
    return path


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.fixture
def libri(tmp_path):
    for part, speaker in (("train-clean-100", 103), ("dev-other", 116), ("test-clean", 61)):
        folder = tmp_path / f"{part}/{speaker}/1240"
        for number in range(2):
            encode(folder / f"{speaker}-1240-{number:04d}.flac", "flac", 1 + number)
        (folder / f"{speaker}-1240.trans.txt").write_text(
            f"{speaker}-1240-0000 CHAPTER ONE\n{speaker}-1240-0001 MISSUS  LYNDE'S HOUSE\n"
        )
    (tmp_path / "SPEAKERS.TXT").write_text("; a comment\n")
    return tmp_path


STM = """\
;; a comment
Ada_2010 1 Ada_2010 0.50 3.25 <o,f0,female> and it 's <sil> a(2) <unk> day {NOISE}
Ada_2010 1 Ada_2010 3.25 4.00 <NA> ignore_time_segment_in_scoring
Ada_2010 1 Ada_2010 4.00 24.50 <NA> a long one
Ada_2010 1 Ada_2010 24.50 25.05 <NA> the end
"""


@pytest.fixture
def ted(tmp_path):
    for name in ("train", "dev", "test"):
        sphere(tmp_path / f"legacy/{name}/sph/Ada_2010.sph", 25)
        stm = tmp_path / f"legacy/{name}/stm/Ada_2010.stm"
        stm.parent.mkdir()
        stm.write_text(STM)
    return tmp_path


HEAD = "client_id\tpath\tsentence\tup_votes\n"


@pytest.fixture
def voice(tmp_path):
    root = tmp_path / "cv-corpus-1/en"
    for number in range(1, 6):
        encode(root / f"clips/common_voice_en_{number}.mp3", "mp3", 1)
    rows = [f'p{n}\tcommon_voice_en_{n}.mp3\tIt\'s "day" {n}.\t2\n' for n in range(1, 6)]
    for name, row in zip(("train", "dev", "test"), rows, strict=False):
        (root / f"{name}.tsv").write_text(HEAD + row)
    (root / "validated.tsv").write_text(HEAD + "".join(rows).replace("p5", "p3"))
    return root


def test_headers(tmp_path):
    flac = encode(tmp_path / "a.flac", "flac", 2)
    assert read_sound_header(flac.read_bytes()) == (RATE, 2, 2)
    assert read_sound_header(sphere(tmp_path / "a.sph", 2).read_bytes()) == (RATE, 2, 2)
    rate, seconds, announced = read_sound_header(encode(tmp_path / "a.mp3", "mp3", 2).read_bytes())
    assert (rate, announced) == (RATE, 0) and 2 <= seconds < 2.2  # whole mp3 frames


def test_librispeech(libri, tmp_path):
    manifest = librispeech.scan(libri)
    assert list(manifest["clip_id"])[-2:] == [
        "train-clean-100/103-1240-0000",
        "train-clean-100/103-1240-0001",
    ]
    assert list(manifest["split"]) == ["val", "val", "test", "test", "train", "train"]
    assert set(manifest["status"]) == {"ok"} and set(manifest["sample_rate"]) == {RATE}
    assert set(manifest["speaker"]) == {"103", "116", "61"}
    last = manifest.iloc[-1]
    assert (last["text"], last["start_s"], last["end_s"]) == ("MISSUS LYNDE'S HOUSE", 0, 2)
    assert last["media"] == "train-clean-100/103/1240/103-1240-0001.flac"
    assert librispeech.scan(libri, workers=2).equals(manifest)
    SPEECH_MANIFEST.write(manifest, tmp_path / "out/speech.parquet")
    assert SPEECH_MANIFEST.read(tmp_path / "out/speech.parquet").equals(manifest)


def test_librispeech_that_is_not_whole(libri, tmp_path):
    folder = libri / "train-clean-100/103/1240"
    (folder / "103-1240-0000.flac").unlink()
    cut(folder / "103-1240-0001.flac")
    encode(folder / "103-1240-0002.flac", "flac", 1)
    encode(folder / "another.flac", "flac", 1)
    other = libri / "dev-other/116/1240"
    with open(other / "116-1240.trans.txt", "a") as file:
        file.write("116-1240-0002\n116-1240-0001 TWICE\n../116-1240-0003 OUT\n")
    encode(other / "116-1240-0002.flac", "flac", 1)
    (libri / "test-clean/61/1240/61-1240-0000.flac").write_bytes(b"x" * 100)
    outside = encode(tmp_path.parent / f"{tmp_path.name}.flac", "flac", 1)
    (libri / "test-clean/61/1240/61-1240-0001.flac").unlink()
    (libri / "test-clean/61/1240/61-1240-0001.flac").symlink_to(outside)
    reasons = librispeech.scan(libri).set_index("clip_id")["reason"]
    assert len(reasons) == 11
    for clip, reason in {
        "train-clean-100/103-1240-0000": "103-1240-0000.flac is missing",
        "train-clean-100/103-1240-0001": "cut short",
        "train-clean-100/103-1240-0002": "103-1240.trans.txt does not name it",
        "train-clean-100/another": "is not 103-1240- and a number",
        "dev-other/116-1240-0002": "the transcript is empty",
        "dev-other/116-1240-0001#2": "listed twice",
        "dev-other/../116-1240-0003": "and a number",
        "test-clean/61-1240-0000": "cannot be read",
        "test-clean/61-1240-0001": "outside the corpus root",
    }.items():
        assert reason in reasons[clip]
    assert reasons["dev-other/116-1240-0000"] == reasons["dev-other/116-1240-0001"] == ""


def test_long_utterances(libri):
    manifest = librispeech.scan(libri, max_seconds=1.5)
    assert list(manifest["status"]) == ["ok", "rejected"] * 3
    assert manifest["reason"][1] == "it is 2.00 s long, more than 1.5 s"
    with pytest.raises(ValueError, match="max_seconds is 0"):
        librispeech.scan(libri, max_seconds=0)


def test_tedlium(ted):
    manifest = tedlium.scan(ted).set_index("clip_id")
    assert len(manifest) == 12 and set(manifest["speaker"]) == {"Ada_2010"}
    first = manifest.loc["train/Ada_2010-0000050-0000325"]
    assert first["text"] == "and it's a <unk> day" and first["status"] == "ok"
    assert (first["start_s"], first["end_s"]) == (0.5, 3.25)
    assert first["media"] == "legacy/train/sph/Ada_2010.sph"
    last = manifest.loc["val/Ada_2010-0002450-0002505"]
    assert last["end_s"] == 25 and last["split"] == "val"  # times may end a little too late
    ignored = manifest.loc["test/Ada_2010-0000325-0000400", "reason"]
    assert ignored == "Ada_2010.stm says ignore_time_segment_in_scoring"
    assert "20.50 s long" in manifest.loc["test/Ada_2010-0000400-0002450", "reason"]
    kept = tedlium.scan(ted, max_seconds=None).set_index("clip_id")
    assert kept.loc["test/Ada_2010-0000400-0002450", "status"] == "ok"


@pytest.mark.parametrize(
    ("line", "clip", "reason"),
    [
        ("Ada_2010 1 Ada_2010 0.5", "line6", "line 6: expected 'Ada_2010 1 speaker start end"),
        ("Ada_2010 1 Ada_2010 x 1.0 <NA> a", "line6", "line 6: expected"),
        ("Ada_2010 1 Ada_2010 nan 1.0 <NA> a", "line6", "line 6: expected"),
        ("Bob_2011 1 Bob_2011 0.5 1.0 <NA> a", "line6", "line 6: expected"),
        ("Ada_2010 1 Ada_2010 2.0 1.0 <NA> a", "0000200-0000100", "not 0 <= start < end"),
        ("Ada_2010 1 Ada_2010 24 26 <NA> a", "0002400-0002600", "but the file ends at 25 s"),
        ("Ada_2010 1 Ada_2010 30 31 <NA> a", "0003000-0003100", "but the file ends at 25 s"),
        ("Ada_2010 1 Ada_2010 1 2 <NA> <sil>", "0000100-0000200", "the transcript is empty"),
        ("Ada_2010 1 Ada_2010 0.50 3.25 <NA> a", "0000050-0000325#2", "listed twice"),
    ],
)
def test_tedlium_broken_lines(ted, line, clip, reason):
    with open(ted / "legacy/dev/stm/Ada_2010.stm", "a") as file:
        file.write(line + "\n")
    manifest = tedlium.scan(ted).set_index("clip_id")
    assert reason in manifest.loc[f"val/Ada_2010-{clip}", "reason"]
    assert (manifest["status"] == "ok").sum() == 6


def test_tedlium_that_is_not_whole(ted):
    cut(ted / "legacy/train/sph/Ada_2010.sph")
    (ted / "legacy/dev/stm/Ada_2010.stm").unlink()
    (ted / "legacy/test/sph/Ada_2010.sph").unlink()
    manifest = tedlium.scan(ted).set_index("clip_id")
    assert set(manifest["status"]) == {"rejected"}
    assert "of 25.00 s are there" in manifest.loc["train/Ada_2010-0000050-0000325", "reason"]
    assert manifest.loc["val/Ada_2010", "reason"] == "Ada_2010.stm is missing"
    assert "sph is missing" in manifest.loc["test/Ada_2010-0000050-0000325", "reason"]
    with pytest.raises(FileNotFoundError, match="give the folder that holds legacy"):
        tedlium.scan(ted / "legacy")


def test_common_voice(voice):
    manifest = common_voice.scan(voice)
    ids = ["test/{}_3", "train/{}_1", "train/{}_4", "train/{}_5", "val/{}_2"]
    assert list(manifest["clip_id"]) == [clip.format("common_voice_en") for clip in ids]
    assert list(manifest["status"]) == ["ok", "ok", "ok", "rejected", "ok"]
    assert manifest["reason"][3] == "the speaker also speaks in dev or test"
    assert manifest["text"][1] == 'It\'s "day" 1.' and manifest["speaker"][1] == "p1"
    assert manifest["media"][1] == "clips/common_voice_en_1.mp3"
    assert 1 <= manifest["end_s"][1] < 1.2 and manifest["start_s"][1] == 0
    assert len(common_voice.scan(voice, validated=False)) == 3


def test_common_voice_broken_lines(voice):
    with open(voice / "train.tsv", "a") as file:
        file.write("p6\t/etc/a.mp3\tA\t2\np6\t../a.mp3\tA\t2\np6\tgone\tA\t2\n")
        file.write("p6\np1\tcommon_voice_en_1.mp3\tAgain\t2\n")
    encode(voice / "clips/long.mp3", "mp3", 21)
    (voice / "clips/bad.mp3").write_bytes(b"bad")
    with open(voice / "train.tsv", "a") as file:
        file.write("p6\tlong.mp3\tLong\t2\np6\tbad.mp3\tBad\t2\np6\tcommon_voice_en_4.mp3\n")
    reasons = common_voice.scan(voice).set_index("clip_id")["reason"]
    assert len(reasons) == 12
    for clip, reason in {
        "train.tsv-line3": "'/etc/a.mp3' is no name of a file in clips",
        "train.tsv-line4": "'../a.mp3' is no name",
        "gone": "gone.mp3 is missing",
        "train.tsv-line6": "'' is no name of a file",
        "common_voice_en_1#2": "listed twice",
        "long": "s long, more than 20 s",
        "bad": "bad.mp3 cannot be read",
        "common_voice_en_4": "the transcript is empty",
    }.items():
        assert reason in reasons[f"train/{clip}"]
    assert reasons["train/common_voice_en_1"] == ""


def test_folders_and_lists_that_are_wrong(voice, tmp_path):
    with pytest.raises(FileNotFoundError, match="give one of its languages: en"):
        common_voice.scan(voice.parent)
    (voice / "dev.tsv").write_text("client_id\tpath\n")
    with pytest.raises(ValueError, match=r"dev.tsv: no column sentence"):
        common_voice.scan(voice)
    (voice / "dev.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"dev.tsv: no such list"):
        common_voice.scan(voice)
    with pytest.raises(FileNotFoundError, match="none of the folders train-clean-100"):
        librispeech.scan(tmp_path)


def test_the_contract(libri, tmp_path):
    manifest = librispeech.scan(libri)
    for column, value, message in (
        ("clip_id", "same", "clip_id is not unique"),
        ("media", "/data/a.flac", "not relative"),
        ("media", "", "text or media are empty"),
        ("split", "dev", "split is none of"),
        ("end_s", 0.0, "not 0 <= start < end"),
        ("end_s", np.inf, "not 0 <= start < end"),
        ("sample_rate", 0, "sample_rate is not positive"),
        ("sample_rate", 16e3, "column sample_rate holds float64"),
    ):
        with pytest.raises(ManifestError, match=message):
            SPEECH_MANIFEST.write(manifest.assign(**{column: value}), tmp_path / "out.parquet")
    with pytest.raises(FileNotFoundError, match="no such speech manifest"):
        SPEECH_MANIFEST.read(tmp_path / "out.parquet")


def test_files_with_pictures_only_are_no_sound(libri):
    path = libri / "test-clean/61/1240/61-1240-0000.flac"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    path.write_bytes(buffer.getvalue())
    reasons = librispeech.scan(libri).set_index("clip_id")["reason"]
    assert "no sound in it" in reasons["test-clean/61-1240-0000"]


def test_corpora_command(libri, ted, voice, tmp_path, capsys):
    """The three corpora lie in one folder, which is LibriSpeech's root: name each."""
    (tmp_path / "libri").mkdir()
    for part in ("train-clean-100", "dev-other", "test-clean"):
        (tmp_path / part).rename(tmp_path / "libri" / part)
    (tmp_path / "ted").mkdir()
    (tmp_path / "legacy").rename(tmp_path / "ted/legacy")
    table = corpora_table([tmp_path, tmp_path / "cv-corpus-1"])
    assert list(table["corpus"].unique()) == ["LibriSpeech", "TED-LIUM 3", "Common Voice"]
    counts = table.set_index(["corpus", "split"])
    assert counts.loc[("LibriSpeech", "train"), "missing"] == 281_239
    talks = counts.loc[("TED-LIUM 3", "train")]  # of one talk some utterances are ignored
    assert (talks["clips"], talks["usable"], talks["missing"]) == (1, 1, 2_350)
    assert counts.loc[("Common Voice", "train"), "usable"] == 2
    assert main(["corpora", str(tmp_path)]) == 0
    assert "openslr.org/51" in capsys.readouterr().out
