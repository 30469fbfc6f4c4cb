import json
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.clips.shard_writer import CropRecord, build_crops, write_crops
from visemix.clips.shards import ShardError, open_crops, read_rejects, verify_crops
from visemix.run.atomic import sha256_file

SIZE = (5, 4)


def record(number, length=3, **changes):
    pixels = np.random.default_rng(number).integers(0, 256, (length, *SIZE), dtype=np.uint8)
    values = {"crops": pixels, "quality": {"scale": number / 7}, "speaker": f"s{number}"}
    return CropRecord(f"train/{number:04d}", "ABOUT", **values | changes)


def rejected(number):
    return record(number, crops=None, quality={}, reason="face found in only 0 of 29 frames")


def write(folder, records, parameters=None, clips_per_shard=4):
    write_crops(folder, records, parameters or {}, clips_per_shard, SIZE)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), max_size=14),  # 0 stands for a rejected clip
    clips_per_shard=st.integers(1, 5),
)
def test_what_was_written_is_read(tmp_path_factory, lengths, clips_per_shard):
    folder = tmp_path_factory.mktemp("crops")
    records = [record(i, n) if n else rejected(i) for i, n in enumerate(lengths)]
    write(folder, records, clips_per_shard=clips_per_shard)
    kept = [r for r in records if r.crops is not None]
    with open_crops(folder) as crops:
        assert list(crops.index["clip_id"]) == [r.clip_id for r in kept]
        for row, r in enumerate(kept):
            np.testing.assert_array_equal(crops.read([row])[0], r.crops)
        assert list(crops.index["length"]) == [len(r.crops) for r in kept]
    assert list(read_rejects(folder)["clip_id"]) == [r.clip_id for r in records if r.reason]
    verify_crops(folder)


def test_rejected_clips_keep_who_speaks_and_what_they_were_made_from(tmp_path):
    lost = record(1, crops=None, quality={}, reason="no face", source="train/0000")
    write(tmp_path, [record(0, source="train/0009"), lost])
    [row] = read_rejects(tmp_path).to_dict("records")
    assert row == {
        "clip_id": "train/0001", "label": "ABOUT", "speaker": "s1", "source": "train/0000",
        "reason": "no face",
    }  # fmt: skip
    assert open_crops(tmp_path).index.source.tolist() == ["train/0009"]


def test_a_set_of_version_1_is_read_with_unknown_speakers_of_rejects(tmp_path):
    write(tmp_path, [record(0), rejected(1)])
    index, rejects = (
        pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("index", "rejects")
    )
    index.drop(columns="source").to_parquet(tmp_path / "index.parquet", index=False)
    rejects[["clip_id", "label", "reason"]].to_parquet(tmp_path / "rejects.parquet", index=False)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    digest = sha256_file(tmp_path / "index.parquet")
    old = manifest | {"version": 1, "index_sha256": digest}
    (tmp_path / "manifest.json").write_text(json.dumps(old))
    with open_crops(tmp_path) as crops:
        assert crops.index.source.tolist() == [""]
        np.testing.assert_array_equal(crops.read([0])[0], record(0).crops)
    [row] = read_rejects(tmp_path).to_dict("records")
    assert (row["speaker"], row["source"], row["label"]) == ("", "", "ABOUT")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"version": 3}))
    with pytest.raises(ShardError, match=r"version 3 .*reads 1 and 2"):
        open_crops(tmp_path)


def test_shards_are_plain_npy_files_of_whole_clips(tmp_path):
    write(tmp_path, [record(i) for i in range(10)], {"score": 0.5})
    shards = [np.load(tmp_path / f"shard-0000{k}.npy") for k in range(3)]
    assert [len(s) for s in shards] == [12, 12, 6]
    np.testing.assert_array_equal(shards[1][3:6], record(5).crops)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["parameters"] == {"score": 0.5} and manifest["clips"] == 10


def test_index_carries_times_speaker_and_quality(tmp_path):
    records = [record(0, word_start_s=0.4, word_end_s=0.76), record(1)]
    write(tmp_path, records)
    index = open_crops(tmp_path).index
    assert index.loc[0, ["speaker", "word_start_s", "word_end_s"]].tolist() == ["s0", 0.4, 0.76]
    assert np.isnan(index.loc[1, "word_start_s"]) and index.loc[1, "scale"] == 1 / 7
    assert index["start"].dtype == np.int64 and index["shard"].dtype == np.int32


def test_batches_in_any_order_into_a_reused_buffer(tmp_path):
    records = [record(i) for i in range(11)]
    write(tmp_path, records)
    rows = [10, 0, 7, 7, 3]
    with open_crops(tmp_path) as crops:
        buffer = np.empty((5, 3, *SIZE), np.uint8)
        assert crops.read(np.array(rows), buffer) is buffer
        np.testing.assert_array_equal(buffer, np.stack([records[r].crops for r in rows]))
        assert crops.read([]).shape == (0, 0, *SIZE)
        copy = pickle.loads(pickle.dumps(crops))
        np.testing.assert_array_equal(copy.read(rows), buffer)
        copy.close()


def test_reading_refuses_what_it_cannot_do(tmp_path):
    write(tmp_path, [record(0), record(1, length=5)])
    with open_crops(tmp_path) as crops:
        with pytest.raises(ValueError, match=r"\[3, 5\] frames"):
            crops.read([0, 1])
        with pytest.raises(IndexError, match=r"2\.\.2 of a set of 2"):
            crops.read([2])
        with pytest.raises(IndexError):
            crops.read([-1])
        with pytest.raises(ValueError, match="contiguous"):
            crops.read([0], np.empty((1, 3, *SIZE), np.float32))
        with pytest.raises(ValueError, match="contiguous"):
            crops.read([0], np.empty((2, 3, *SIZE), np.uint8)[:1, :, ::-1])


def test_a_truncated_shard_is_named_with_its_size_and_the_remedy(tmp_path):
    write(tmp_path, [record(i) for i in range(8)])
    with open_crops(tmp_path) as crops:
        with open(tmp_path / "shard-00001.npy", "r+b") as file:
            file.truncate(200)
        with pytest.raises(ShardError, match=r"shard-00001.npy: cut short while in use"):
            crops.read([7])
    with pytest.raises(ShardError, match=r"shard-00001.npy: has 200 bytes instead of 368; delete"):
        open_crops(tmp_path)


def test_a_changed_pixel_is_found_by_verifying(tmp_path):
    write(tmp_path, [record(i) for i in range(4)])
    data = bytearray((tmp_path / "shard-00000.npy").read_bytes())
    data[200] ^= 1
    (tmp_path / "shard-00000.npy").write_bytes(data)
    open_crops(tmp_path).close()
    with pytest.raises(ShardError, match=r"shard-00000.npy: its sha256"):
        verify_crops(tmp_path)


def test_unfinished_foreign_and_changed_sets_are_refused(tmp_path):
    with pytest.raises(ShardError, match="not finished"):
        open_crops(tmp_path)
    write(tmp_path, [record(0)])
    path = tmp_path / "manifest.json"
    good = path.read_text()
    path.write_text(good.replace('"raw"', '"jpeg_strip"'))
    with pytest.raises(ShardError, match="codec 'jpeg_strip'"):
        open_crops(tmp_path)
    path.write_text("{}")
    with pytest.raises(ShardError, match="not the manifest"):
        open_crops(tmp_path)
    path.write_text(good)
    pd.DataFrame({"clip_id": []}).to_parquet(tmp_path / "index.parquet")
    with pytest.raises(ShardError, match=r"index.parquet: missing or changed"):
        open_crops(tmp_path)


def test_records_of_a_wrong_form_are_refused(tmp_path):
    with pytest.raises(ValueError, match="sort by clip_id"):
        write(tmp_path, [record(1), record(0)])
    with pytest.raises(ValueError, match="sort by clip_id"):
        write(tmp_path, [record(1), record(1)])
    with pytest.raises(ValueError, match=r"must be uint8 \(T, 5, 4\)"):
        write(tmp_path, [record(0, crops=np.zeros((3, *SIZE), np.float32))])
    with pytest.raises(ValueError, match="no frame"):
        write(tmp_path, [record(0, length=0)])
    with pytest.raises(ValueError, match="neither crops nor a reason"):
        write(tmp_path, [record(0, crops=None)])
    assert not (tmp_path / "manifest.json").exists()


def test_a_shard_is_streamed_not_collected(tmp_path):
    def records():
        for i in range(300):
            yield CropRecord(f"{i:04d}", "ABOUT", np.full((29, 96, 96), i % 256, np.uint8))

    write_crops(tmp_path / "warm", [], {})
    tracemalloc.start()
    write_crops(tmp_path / "set", records(), {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "set" / "shard-00000.npy").stat().st_size == 300 * 29 * 96 * 96 + 128
    assert peak < 4e6  # the clips are 80 MB


class Maker:
    """Makes records of planned rows, remembers of which, and stops after `limit`."""

    def __init__(self, limit=10**6):
        self.limit, self.made = limit, []

    def __call__(self, rows):
        for clip_id in rows["clip_id"]:
            if len(self.made) == self.limit:
                raise KeyboardInterrupt
            self.made.append(clip_id)
            number = int(clip_id[-4:])
            yield rejected(number) if number % 5 == 2 else record(number)


def plan(count=10, **columns):
    return pd.DataFrame({"clip_id": [f"train/{i:04d}" for i in range(count)], **columns})


def build(folder, rows, make, parameters=None, part=None):
    build_crops(folder, rows, make, parameters or {}, 4, SIZE, part)


@pytest.mark.parametrize("limit", [0, 3, 4, 6, 9])
def test_a_stopped_build_goes_on_at_its_last_whole_shard(tmp_path, limit):
    build(tmp_path / "whole", plan().sample(frac=1, random_state=0), Maker())
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "stopped", plan(), Maker(limit))
    with pytest.raises(ShardError, match="not finished"):
        open_crops(tmp_path / "stopped")
    (tmp_path / "stopped" / ".shard-00001.npy.1.partial.npy").write_bytes(b"of a killed process")
    second = Maker()
    build(tmp_path / "stopped", plan(), second)
    assert second.made == list(plan()["clip_id"])[limit // 4 * 4 :]
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_parts_in_any_order_make_the_same_set(tmp_path, parts):
    build(tmp_path / "whole", plan(), Maker())
    makers = [Maker() for _ in range(parts)]
    for part in reversed(range(parts)):
        build(tmp_path / "parts", plan(), makers[part], part=(part, parts))
        with pytest.raises(ShardError, match="not finished"):
            open_crops(tmp_path / "parts")
    made = [clip_id for maker in makers for clip_id in maker.made]
    assert sorted(made) == list(plan()["clip_id"])
    build(tmp_path / "parts", plan(), Maker(limit=0))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_part_leaves_what_another_is_writing(tmp_path):
    partial = tmp_path / ".shard-00001.npy.1.partial.npy"
    partial.write_bytes(b"of another job")
    build(tmp_path, plan(), Maker(), part=(0, 2))
    assert partial.exists()


def test_a_finished_set_is_not_made_again(tmp_path):
    build(tmp_path, plan(), Maker())
    before, again = contents(tmp_path), Maker(limit=0)
    build(tmp_path, plan(), again)
    assert contents(tmp_path) == before


def test_only_what_changed_is_made_again(tmp_path):
    build(tmp_path, plan(sha256=["a"] * 10), Maker())
    changed = Maker()
    build(tmp_path, plan(sha256=["a"] * 5 + ["b"] + ["a"] * 4), changed)
    assert changed.made == [f"train/{i:04d}" for i in range(4, 8)]
    with open(tmp_path / "shard-00002.npy", "r+b") as file:
        file.truncate(150)
    damaged = Maker()
    build(tmp_path, plan(sha256=["a"] * 5 + ["b"] + ["a"] * 4), damaged)
    assert damaged.made == ["train/0008", "train/0009"]
    other = Maker()
    build(tmp_path, plan(sha256=["a"] * 5 + ["b"] + ["a"] * 4), other, {"score": 0.9})
    assert len(other.made) == 10


def test_a_smaller_set_leaves_no_old_shards(tmp_path):
    build(tmp_path / "shrunk", plan(10), Maker())
    build(tmp_path / "shrunk", plan(4), Maker())
    build(tmp_path / "small", plan(4), Maker())
    assert contents(tmp_path / "shrunk") == contents(tmp_path / "small")


def test_records_must_follow_the_plan(tmp_path):
    with pytest.raises(ValueError, match="in the place of train/0000"):
        build(tmp_path, plan(3), lambda rows: iter([record(1)]))
    with pytest.raises(ValueError, match="shorter"):
        build(tmp_path, plan(3), lambda rows: iter([record(0)]))
    with pytest.raises(ValueError, match="longer"):
        build(tmp_path, plan(1), lambda rows: iter([record(0), record(1)]))
    with pytest.raises(ValueError, match="train/0000 repeats"):
        build(tmp_path, pd.concat([plan(2), plan(1)]), Maker())
