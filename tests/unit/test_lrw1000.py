import shutil

import cv2
import numpy as np
import pytest

from visemix.corpora import lrw1000

CLIP = "2c13a3a36355b5dc8310cd5871d28efc"
OTHER = "aa13a3a36355b5dc8310cd5871d28efc"


@pytest.fixture
def corpus(tmp_path):
    picture = cv2.imencode(".jpg", np.full((60, 80, 3), 90, np.uint8))[1].tobytes()
    for clip in (CLIP, OTHER):
        (tmp_path / "images" / clip).mkdir(parents=True)
        for number in range(1, 51):
            (tmp_path / "images" / clip / f"{number}.jpg").write_bytes(picture)
    (tmp_path / "info").mkdir()
    (tmp_path / "info/trn_1000.txt").write_text(
        f"{CLIP},扫描,sao miao,0.40,0.80\n{CLIP},今天,jin tian,1.0,1.4\n", encoding="utf-8"
    )
    (tmp_path / "info/val_1000.txt").write_text(f"{OTHER},今天,jin tian,0.1,0.5\n")
    (tmp_path / "info/tst_1000.txt").write_text(f"{OTHER},扫描,sao miao,1.5,2.02\n")
    return tmp_path


def test_scan(corpus):
    manifest = lrw1000.scan(corpus)
    assert list(manifest["clip_id"]) == [
        f"test/{OTHER}_38_51_sao-miao",
        f"train/{CLIP}_11_21_sao-miao",
        f"train/{CLIP}_26_36_jin-tian",
        f"val/{OTHER}_3_13_jin-tian",
    ]
    assert set(manifest["status"]) == {"ok"} and set(manifest["n_frames"]) == {50}
    row = manifest.iloc[1]
    assert (row["label"], row["text"], row["media"]) == ("sao miao", "扫描", f"images/{CLIP}")
    assert (row["word_start_s"], row["word_end_s"], row["split"]) == (0.4, 0.8, "train")
    assert manifest["word_end_s"][0] == 2.0  # the list rounds beyond the last picture
    assert manifest["sha256"].nunique() == 1  # of the same pictures
    assert lrw1000.scan(corpus, workers=2).equals(manifest)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: shutil.rmtree(f), f"the folder images/{OTHER} is missing"),
        (lambda f: [p.unlink() for p in f.iterdir()], "holds no picture"),
        (lambda f: (f / "7.jpg").unlink(), "the picture 7.jpg is missing"),
        (lambda f: (f / "7.jpg").write_bytes((f / "7.jpg").read_bytes()[:99]), "7.jpg is no JPEG"),
        (lambda f: [(f / f"{n}.jpg").unlink() for n in range(10, 51)], "but there are 9 pictures"),
    ],
)
def test_broken_folders_are_rejected_with_a_reason(corpus, spoil, reason):
    spoil(corpus / "images" / OTHER)
    manifest = lrw1000.scan(corpus).set_index("clip_id")
    assert reason in manifest.loc[f"test/{OTHER}_38_51_sao-miao", "reason"]
    assert set(manifest.loc[manifest["media"] == f"images/{CLIP}", "status"]) == {"ok"}


@pytest.mark.parametrize("times", ["0.8,0.4", "-1,0.4", "nan,1", "3,3.5"])
def test_wrong_times_are_rejected(corpus, times):
    (corpus / "info/tst_1000.txt").write_text(f"{OTHER},x,sao miao,{times}\n")
    manifest = lrw1000.scan(corpus)
    assert list(manifest.loc[manifest["status"] == "rejected", "split"]) == ["test"]


def test_lists_that_are_wrong(corpus):
    (corpus / "info/val_1000.txt").write_text(f"{OTHER},jin tian,0.1,0.5\n")
    with pytest.raises(ValueError, match=r"val_1000.txt, line 1: expected 'clip,characters"):
        lrw1000.scan(corpus)
    (corpus / "info/val_1000.txt").write_text(f"{OTHER},x,jin tian,0.1,0.5\n" * 2)
    with pytest.raises(ValueError, match="listed twice"):
        lrw1000.scan(corpus)
    (corpus / "info/val_1000.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"val_1000.txt: no such list"):
        lrw1000.scan(corpus)
    with pytest.raises(FileNotFoundError, match="no such folder; give the folder that holds"):
        lrw1000.scan(corpus / "images")
