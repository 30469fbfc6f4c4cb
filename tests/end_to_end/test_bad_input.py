"""Broken clips in an LRW folder become rejects with a reason; everything else goes through."""

import shutil

import numpy as np
import pandas as pd
import pytest
from tests.helpers.workflow import snakemake

from visemix.media import read_clip, write_clip

TARGETS = [
    "data/crops/lrw-train/manifest.json",
    "data/crops/lrw-test/manifest.json",
    "data/crops/lrw-portrait/manifest.json",
]


def config(root, portraits, words="[ABOUT, FAMILY, PEOPLE]"):
    corpus = f"corpus: {{name: lrw, root: {root}, words: {words}, clips_per_word: null}}"
    synthesis = f"synthesis: {{portraits: {portraits}, clips: 9, clips_per_portrait: 3}}"
    return ["--config", "scale=test", f"overrides={{{corpus}, {synthesis}}}"]


@pytest.fixture(scope="module")
def corpus(finished_run, tmp_path_factory):
    """A copy of the finished run's corpus with one clip of every kind of damage."""
    root = tmp_path_factory.mktemp("lrw")
    shutil.copytree(finished_run / "data/corpora/miniature/lipread_mp4", root / "lipread_mp4")
    shutil.copytree(finished_run / "data/corpora/miniature/portraits", root / "portraits")
    about, family, people = (root / "lipread_mp4" / w for w in ("ABOUT", "FAMILY", "PEOPLE"))
    whole = read_clip(about / "train/ABOUT_00001.mp4", sound=True)

    truncated = about / "train/ABOUT_00002.mp4"
    truncated.write_bytes(truncated.read_bytes()[:4000])
    grey = np.full_like(whole.frames, 128)
    write_clip(about / "test/ABOUT_00001.mp4", grey, whole.sound)  # no face
    write_clip(about / "test/ABOUT_00002.mp4", whole.frames[:20], whole.sound[: 20 * 640])
    (family / "train/FAMILY_00001.txt").unlink()
    (family / "train/FAMILY_00002.txt").write_text("Duration: long\n")
    for number in range(1, 5):  # so that a silent clip must be paired
        path = people / f"train/PEOPLE_0000{number}.mp4"
        write_clip(path, read_clip(path).frames, np.zeros_like(whole.sound))
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(root / "portraits" / "landscape.png"), grey[0])
    return root


def crop_table(directory, split, name):
    path = directory / f"data/crops/lrw-{split}/{name}.parquet"
    return pd.read_parquet(path).set_index("clip_id")


def test_every_broken_clip_has_a_reason_and_the_rest_is_there(corpus, tmp_path):
    snakemake(tmp_path, *TARGETS, *config(corpus, corpus / "portraits"))
    train, test = (crop_table(tmp_path, s, "rejects").reason for s in ("train", "test"))
    assert set(train.index) == {
        "train/ABOUT_00002", "train/FAMILY_00001", "train/FAMILY_00002",
    }  # fmt: skip
    assert "FAMILY_00001.txt" in train["train/FAMILY_00001"]
    assert "Duration" in train["train/FAMILY_00002"]
    assert set(test.index) == {"test/ABOUT_00001", "test/ABOUT_00002"}
    assert "face" in test["test/ABOUT_00001"]
    assert "20 frames" in test["test/ABOUT_00002"]
    counts = [
        len(pd.read_parquet(tmp_path / f"data/crops/lrw-{s}/index.parquet"))
        for s in ("train", "test")
    ]
    assert counts == [12 - 3, 9 - 2]

    folder = tmp_path / "data/synthesis/lrw-portrait"
    records = pd.read_parquet(folder / "records.parquet")
    silent = records[records.label == "PEOPLE"]
    assert len(silent)
    assert (silent.status == "rejected").all()
    assert silent.reason.str.contains("silent").all()
    assert (records[records.label != "PEOPLE"].status == "accepted").all()


def test_some_of_the_words_are_a_corpus_and_a_word_without_clips_is_named(corpus, tmp_path):
    manifest = "data/manifests/lrw.parquet"
    arguments = [manifest, *config(corpus, corpus / "portraits", "[ABOUT, FAMILY, PEOPEL]")]
    done = snakemake(tmp_path, *arguments, check=False)
    assert done.returncode
    assert "the word PEOPEL (did you mean PEOPLE?)" in done.stdout + done.stderr
    snakemake(tmp_path, manifest, *config(corpus, corpus / "portraits", "[ABOUT, FAMILY]"))
    assert set(pd.read_parquet(tmp_path / manifest)["label"]) == {"ABOUT", "FAMILY"}
    log = (tmp_path / "logs/manifest.log").read_text()
    assert "9 clips are left out, those of 1 of the 3 words there" in log


def test_a_missing_corpus_says_where_it_was_looked_for(tmp_path):
    done = snakemake(tmp_path, TARGETS[0], *config(tmp_path / "nowhere", tmp_path), check=False)
    assert done.returncode
    assert "nowhere/lipread_mp4: no such folder" in done.stdout + done.stderr
