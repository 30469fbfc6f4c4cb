import math

import pandas as pd
import pytest

from visemix.corpora.manifest import (
    COLUMNS,
    ManifestError,
    check_manifest,
    manifest_frame,
    read_manifest,
    write_manifest,
)


def row(clip_id="train/ABOUT_00001", **changes) -> tuple:
    values = {
        "clip_id": clip_id,
        "corpus": "lrw",
        "split": "train",
        "label": "ABOUT",
        "media": "lipread_mp4/ABOUT/train/ABOUT_00001.mp4",
        "n_frames": 29,
        "fps": 25.0,
        "word_start_s": 0.4,
        "word_end_s": 0.76,
        "speaker": "",
        "sha256": "0" * 64,
        "status": "ok",
        "reason": "",
    }
    return tuple((values | changes)[name] for name in COLUMNS)


def test_written_sorted_and_read_back_equal(tmp_path):
    frame = manifest_frame([row("train/B_2"), row("train/A_1", speaker="s1"), row("train/B_1")])
    write_manifest(frame, tmp_path / "m" / "lrw.parquet")
    back = read_manifest(tmp_path / "m" / "lrw.parquet")
    expected = frame.sort_values("clip_id", ignore_index=True)
    pd.testing.assert_frame_equal(back, expected)
    assert list(back["clip_id"]) == ["train/A_1", "train/B_1", "train/B_2"]


def test_equal_manifests_give_equal_bytes(tmp_path):
    rows = [row("train/B_2"), row("train/A_1")]
    write_manifest(manifest_frame(rows), tmp_path / "a.parquet")
    write_manifest(manifest_frame(rows[::-1]), tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_manifest_of_sentences_has_a_text_instead_of_labels(tmp_path):
    frame = manifest_frame([(*row(label=""), "BIN BLUE")], text=True)
    write_manifest(frame, tmp_path / "grid.parquet")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "grid.parquet"), frame)
    with pytest.raises(ManifestError, match="label and text, or media, are empty"):
        check_manifest(manifest_frame([(*row(label=""), "")], text=True))
    with pytest.raises(ManifestError, match="column text holds int64"):
        check_manifest(frame.assign(text=1))


def test_unknown_word_times_and_empty_table_are_allowed():
    check_manifest(manifest_frame([row(word_start_s=math.nan, word_end_s=math.nan)]))
    check_manifest(manifest_frame([]))


def test_rejected_rows_need_a_reason_but_no_facts():
    check_manifest(
        manifest_frame(
            [row(status="rejected", reason="cut short", n_frames=0, fps=0.0, sha256="", split="x")]
        )
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"clip_id": ""}, "clip_id is empty"),
        ({"status": "done"}, "status is none of"),
        ({"status": "rejected"}, "without a reason"),
        ({"reason": "cut short"}, "a reason is given"),
        ({"split": "dev"}, "split is none of"),
        ({"label": ""}, "label and text, or media, are empty"),
        ({"media": "/data/a.mp4"}, "not relative"),
        ({"n_frames": 0}, "n_frames or fps"),
        ({"fps": 0.0}, "n_frames or fps"),
        ({"sha256": "abc"}, "64 hexadecimal"),
        ({"word_start_s": 0.8}, "word times"),
        ({"word_end_s": math.nan}, "word times"),
        ({"word_end_s": math.inf}, "word times"),
    ],
)
def test_each_broken_rule_is_named_with_its_clip(changes, complaint):
    frame = manifest_frame([row("train/GOOD_1"), row(**{"clip_id": "train/BAD_1"} | changes)])
    with pytest.raises(ManifestError, match=complaint) as error:
        check_manifest(frame)
    assert "1 clips" in str(error.value) and "GOOD" not in str(error.value)


def test_repeated_clip_ids_are_refused():
    with pytest.raises(ManifestError, match="not unique"):
        check_manifest(manifest_frame([row(), row()]))


def test_wrong_columns_and_types_are_named(tmp_path):
    frame = manifest_frame([row()])
    with pytest.raises(ManifestError, match=r"missing: \['fps'\], unknown: \['size'\]"):
        check_manifest(frame.drop(columns="fps").assign(size=1))
    with pytest.raises(ManifestError, match="n_frames holds float64, not int64"):
        check_manifest(frame.astype({"n_frames": "float64"}))
    with pytest.raises(ManifestError, match="speaker"):
        write_manifest(frame.assign(speaker=[None]), tmp_path / "never.parquet")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_manifest_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="scan the corpus first"):
        read_manifest(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("clip_id,split\n")
    with pytest.raises(ManifestError, match=r"text\.parquet"):
        read_manifest(tmp_path / "text.parquet")
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ManifestError, match=r"other\.parquet: columns missing"):
        read_manifest(tmp_path / "other.parquet")
