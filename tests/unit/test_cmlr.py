import shutil

import numpy as np
import pytest

from visemix.corpora import cmlr
from visemix.media import write_clip

NAMES = ("section_1_000.80_002.91", "section_1_003.00_004.50", "section_2_000.03_001.53")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_clip(path, np.zeros((30, 32, 32, 3), np.uint8), np.zeros(30 * 640, np.int16))
    return path


@pytest.fixture
def corpus(video, tmp_path):
    root = tmp_path / "cmlr"
    for split, name in zip(("train", "val", "test"), NAMES, strict=True):
        for kind in ("video", "text"):
            (root / kind / "s1/20170121").mkdir(parents=True, exist_ok=True)
        shutil.copy(video, root / f"video/s1/20170121/{name}.mp4")
        text = root / f"text/s1/20170121/{name}.txt"
        text.write_text("今天天气很好\n今天 0.10 0.40\n", encoding="utf-8")
        (root / f"{split}.csv").write_text(f"s1/20170121/{name}\n")
    return root


def test_scan(corpus):
    manifest = cmlr.scan(corpus)
    assert list(manifest["clip_id"]) == [f"s1/20170121/{name}" for name in NAMES]
    assert list(manifest["split"]) == ["train", "val", "test"]
    assert set(manifest["status"]) == {"ok"} and set(manifest["speaker"]) == {"s1"}
    assert set(manifest["text"]) == {"今天天气很好"} and set(manifest["n_frames"]) == {30}
    assert cmlr.scan(corpus, workers=2).equals(manifest)


def test_copies_with_the_date_in_the_name(corpus):
    for kind, suffix in (("video", "mp4"), ("text", "txt")):
        folder = corpus / kind / "s1/20170121"
        (folder / f"{NAMES[0]}.{suffix}").rename(folder / f"20170121_{NAMES[0]}.{suffix}")
    (corpus / "val.csv").write_text(f"s1/20170121_{NAMES[1]}\n")
    (corpus / "test.csv").write_text(f"s1/20170121/20170121_{NAMES[2]}.mp4\n")
    manifest = cmlr.scan(corpus)
    assert list(manifest["clip_id"]) == [f"s1/20170121/{name}" for name in NAMES]
    assert list(manifest["split"]) == ["train", "val", "test"]
    assert set(manifest["status"]) == {"ok"}
    assert manifest["media"][0] == f"video/s1/20170121/20170121_{NAMES[0]}.mp4"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda r, n: (r / f"video/{n}.mp4").write_bytes(b"x"), "cut short or damaged"),
        (lambda r, n: (r / f"video/{n}.mp4").unlink(), ".mp4 is missing"),
        (lambda r, n: (r / f"text/{n}.txt").unlink(), ".txt is missing"),
        (lambda r, n: (r / f"text/{n}.txt").write_text(""), "the transcript is empty"),
        (lambda r, n: (r / f"text/{n}.txt").write_bytes("今".encode("gb2312")), "is not UTF-8"),
        (lambda r, n: (r / "test.csv").write_text(""), "names the clip"),
    ],
)
def test_broken_clips_are_rejected_with_a_reason(corpus, spoil, reason):
    clip = f"s1/20170121/{NAMES[2]}"
    spoil(corpus, clip)
    manifest = cmlr.scan(corpus).set_index("clip_id")
    assert reason in manifest.loc[clip, "reason"]
    assert set(manifest.drop(clip)["status"]) == {"ok"}


def test_lists_and_folders_that_are_wrong(corpus, video):
    (corpus / "val.csv").write_text(f"s1/20170121/{NAMES[0]}\n")
    with pytest.raises(ValueError, match=r"is in train.csv and in val.csv"):
        cmlr.scan(corpus)
    (corpus / "val.csv").write_text("id\n")
    with pytest.raises(ValueError, match=r"val.csv, line 1: expected an id such as"):
        cmlr.scan(corpus)
    (corpus / "val.csv").write_text("")
    shutil.copy(video, corpus / f"video/s1/20170121/20170121_{NAMES[0]}.mp4")
    with pytest.raises(ValueError, match="are the same clip"):
        cmlr.scan(corpus)
    (corpus / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"val.csv: no such list"):
        cmlr.scan(corpus)
    with pytest.raises(FileNotFoundError, match="no such folder; give the folder that holds"):
        cmlr.scan(corpus / "video")
