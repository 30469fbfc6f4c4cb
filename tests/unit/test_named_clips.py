"""Tests of real clips hold whatever else lies beside the clips that they name."""

import shutil

import pytest
from tests.helpers.real_clips import REAL_CLIPS, copy_named

from visemix.corpora.found import corpora_table


def counts(folder):
    return corpora_table([folder])[["corpus", "split", "clips", "usable"]].values.tolist()


def test_further_clips_change_nothing(tmp_path):
    if not REAL_CLIPS.is_dir():
        pytest.skip(f"no real clips at {REAL_CLIPS}")
    shared = copy_named(REAL_CLIPS, tmp_path / "shared")
    before = counts(shared)
    shutil.copyfile(shared / "grid/s1_lbaq6p.mpg", shared / "grid/s1_another.mpg")
    more = shared / "lrw_layout/lipread_mp4/MORE/test/MORE_00001.mp4"
    more.parent.mkdir(parents=True)
    more.write_bytes(b"")
    (shared / "lrs2/main").mkdir(parents=True)
    assert counts(shared) != before
    assert counts(copy_named(shared, tmp_path / "named")) == before
