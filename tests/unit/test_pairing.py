from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.toy_manifest import make_manifest

from visemix.synthesis import pairing
from visemix.synthesis.pairing import LeakError, PairingError, check_pairs, make_pairs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve pictures; those named 'bad' have no face."""
    for i in range(12):
        name = f"bad-{i}.png" if i in (2, 7) else f"face-{i:02d}.png"
        (tmp_path / name).write_bytes(b"picture %d" % i)
    monkeypatch.setattr(pairing, "_look", fake_look)
    return tmp_path


def fake_look(root, picture):
    known = {"portrait": picture[:-4], "picture": picture}
    if picture.startswith("bad"):
        return known, "no face found in the picture"
    return known | {"picture_sha256": picture}, ""


def test_each_portrait_gets_five_distinct_sounds_of_the_training_split(folder):
    manifest = make_manifest()
    pairs, excluded = make_pairs(manifest, folder, seed=1)
    assert len(pairs) == 50 and pairs["clip_id"].is_unique
    assert pairs["clip_id"].is_monotonic_increasing
    assert pairs.groupby("portrait")["source"].nunique().tolist() == [5] * 10
    assert pairs.groupby("portrait").size().tolist() == [5] * 10
    assert pairs["source"].str.startswith("train/").all()
    labels = manifest.set_index("clip_id").loc[pairs["source"], "label"]
    assert labels.tolist() == pairs["label"].tolist()
    assert excluded["portrait"].tolist() == ["bad-2", "bad-7"]
    assert set(excluded["reason"]) == {"no face found in the picture"}


def test_sounds_are_used_again_only_after_all_were_used(folder):
    pairs, _ = make_pairs(make_manifest(n_words=3, train=6), folder, seed=2)  # 50 from 18
    used = Counter(pairs["source"])
    assert len(used) == 18 and max(used.values()) - min(used.values()) <= 1


def test_labels_are_balanced(folder):
    pairs, _ = make_pairs(make_manifest(n_words=4, train=30), folder, clips=31, seed=5)
    counts = Counter(pairs["label"])
    assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 1


def test_the_seed_decides(folder):
    manifest = make_manifest()
    one, two = (make_pairs(manifest, folder, seed=4)[0] for _ in range(2))
    pd.testing.assert_frame_equal(one, two)
    shuffled = manifest.sample(frac=1, random_state=1, ignore_index=True)
    pd.testing.assert_frame_equal(one, make_pairs(shuffled, folder, seed=4)[0])
    assert not one.equals(make_pairs(manifest, folder, seed=5)[0])
    assert one["seed"].is_unique and not set(one["seed"]) & set(
        make_pairs(manifest, folder, seed=5)[0]["seed"]
    )


@settings(max_examples=25, deadline=None)
@given(
    words=st.integers(1, 4),
    train=st.integers(1, 6),
    each=st.integers(1, 6),
    clips=st.integers(1, 60),
)
def test_any_size(tmp_path_factory, words, train, each, clips):
    folder = tmp_path_factory.mktemp("faces")
    for i in range(4):
        (folder / f"face-{i}.png").touch()
    manifest = make_manifest(words, train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairing, "_look", fake_look)
        if words * train < each or clips > 4 * each:
            with pytest.raises(PairingError, match=r"distinct ones|clips asked"):
                make_pairs(manifest, folder, clips, each)
            return
        pairs, _ = make_pairs(manifest, folder, clips, each)
    assert len(pairs) == clips and pairs["clip_id"].is_unique
    assert pairs.groupby("portrait").size().max() <= each
    assert not pairs.duplicated(["portrait", "source"]).any()
    used = Counter(pairs["source"])
    if clips > words * train:
        # a sound may stay behind for the next hand, where this hand holds it already
        assert len(used) == words * train
    else:
        assert max(used.values()) == 1


def test_more_clips_than_portraits_can_speak(folder):
    with pytest.raises(PairingError, match=r"51 clips asked, but 10 portraits .* at most 50"):
        make_pairs(make_manifest(), folder, clips=51)
    assert len(make_pairs(make_manifest(), folder, clips=50)[0]) == 50


def test_too_few_sounds(folder):
    with pytest.raises(PairingError, match="4 accepted training clips"):
        make_pairs(make_manifest(n_words=4, train=1), folder)


def test_rejected_clips_do_not_speak(folder):
    manifest = make_manifest()
    bad = manifest["clip_id"].isin(["train/WORD0_00000", "train/WORD1_00003"])
    manifest.loc[bad, ["status", "reason"]] = "rejected", "cut short"
    pairs, _ = make_pairs(manifest, folder)
    assert not set(pairs["source"]) & set(manifest["clip_id"][bad])
    assert pairs["source"].nunique() == 18


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_manifest_with_a_shared_speaker_is_refused(folder, split):
    manifest = make_manifest()
    manifest.loc[manifest["clip_id"] == f"{split}/WORD1_00001", "speaker"] = "train-0-0"
    with pytest.raises(LeakError, match=f"speaker train-0-0.*{split}/WORD1_00001"):
        make_pairs(manifest, folder)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_manifest_with_a_shared_file_is_refused(folder, split):
    manifest = make_manifest(speakers=False)
    digest = manifest["sha256"][manifest["clip_id"] == "train/WORD2_00001"].item()
    manifest.loc[manifest["clip_id"] == f"{split}/WORD2_00000", "sha256"] = digest
    with pytest.raises(LeakError, match=f"file with sha256.*{split}/WORD2_00000"):
        make_pairs(manifest, folder)


def test_unknown_speakers_are_no_leak(folder):
    assert len(make_pairs(make_manifest(speakers=False), folder)[0]) == 50


@pytest.mark.parametrize(
    "source, why",
    [
        ("val/WORD0_00000", "not of the training split"),
        ("test/WORD0_00000", "not of the training split"),
        ("train/WORD9_00000", "not in the manifest"),
        ("train/WORD1_00000", "another label"),
    ],
)
def test_pairs_are_checked(folder, source, why):
    manifest = make_manifest()
    pairs, _ = make_pairs(manifest, folder)
    pairs.loc[0, ["source", "label"]] = source, "WORD0"
    with pytest.raises(LeakError, match=why):
        check_pairs(pairs, manifest)


def test_a_portrait_of_a_held_out_speaker_is_refused(folder):
    manifest = make_manifest()
    manifest.loc[manifest["clip_id"] == "test/WORD1_00001", "speaker"] = "face-03"
    with pytest.raises(LeakError, match="portrait face-03 is a speaker"):
        make_pairs(manifest, folder)


def test_nobody_speaks_their_own_words(folder):
    manifest = make_manifest()
    manifest.loc[manifest["split"] == "train", "speaker"] = "face-03"
    with pytest.raises(LeakError, match="portrait's own"):
        make_pairs(manifest, folder)


def test_only_as_many_portraits_are_looked_at_as_needed(folder):
    pairs, excluded = make_pairs(make_manifest(), folder, clips=11)
    assert pairs["portrait"].nunique() == 3 and len(excluded) <= 2
    assert sorted(pairs.groupby("portrait").size()) == [1, 5, 5]


def test_no_pictures_and_ambiguous_names(tmp_path):
    with pytest.raises(FileNotFoundError, match="no pictures"):
        make_pairs(make_manifest(), tmp_path / "missing")
    (tmp_path / "a.png").touch()
    (tmp_path / "a.jpg").touch()
    with pytest.raises(PairingError, match="2 pictures are named a"):
        make_pairs(make_manifest(), tmp_path)


def test_tables_are_written(tmp_path, folder):
    pairs, excluded = make_pairs(make_manifest(), folder)
    for table in (pairs, excluded):
        pairing.write_table(table, tmp_path / "out" / "table.parquet")
        stored = pd.read_parquet(tmp_path / "out" / "table.parquet")
        pd.testing.assert_frame_equal(stored, table)
