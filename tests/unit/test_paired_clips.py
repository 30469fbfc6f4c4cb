import hashlib

import numpy as np
import pytest

from visemix.clips.shard_writer import CropRecord, write_crops
from visemix.corpora.manifest import manifest_frame
from visemix.generators.paired_clips import open_paired, write_sounds
from visemix.media import read_clip, write_clip

FRAMES = 10


def tone(number: int, samples: int) -> np.ndarray:
    time = np.arange(samples) / 16000
    return (8000 * np.sin(2 * np.pi * (200 + 50 * number) * time)).astype(np.int16)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Six training clips: 1 has too little sound, 2 is broken, 3 of another rate, 4 rejected."""
    root, rows = tmp_path_factory.mktemp("corpus"), []
    grey = np.full((FRAMES, 32, 32, 3), 120, np.uint8)
    for n in range(6):
        path = root / f"{n}.mp4"
        write_clip(path, grey, tone(n, (3 if n == 1 else FRAMES) * 640))
        if n == 2:
            path.write_bytes(b"")
        status = ("rejected", "no times") if n == 4 else ("ok", "")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append((f"train/{n}", "c", "train", f"W{n}", path.name, FRAMES, 30.0 if n == 3 else
                     25.0, 0.1, 0.3, f"s{n}", digest, *status))  # fmt: skip
    return root, manifest_frame(rows)


@pytest.fixture(scope="module")
def folders(corpus, tmp_path_factory):
    """Sounds of 0, 1 and 5; crops of 0, 3 and 5, whose pixels are their numbers."""
    root, manifest = corpus
    base = tmp_path_factory.mktemp("pairs")
    write_sounds(manifest, "train", root, base / "sounds")
    records = [
        CropRecord(f"train/{n}", f"W{n}", np.full((FRAMES, 96, 96), n, np.uint8), speaker=f"s{n}")
        for n in (0, 3, 5)
    ]
    write_crops(base / "crops", records, {"eye_to_mouth": 80})
    return base


def test_crops_and_sounds_of_a_row_belong_together(corpus, folders):
    pairs = open_paired(folders / "crops", folders / "sounds")
    assert (len(pairs), pairs.clip_ids) == (2, ["train/0", "train/5"])
    assert (pairs.labels, pairs.speakers) == (["W0", "W5"], ["s0", "s5"])
    assert pairs.eye_to_mouth == 80
    crops, sounds = pairs.crops([1, 0, 1]), pairs.sounds([1, 0, 1])
    assert crops.shape == (3, FRAMES, 96, 96) and crops[:, 0, 0, 0].tolist() == [5, 0, 5]
    assert sounds.shape == (3, FRAMES * 640) and sounds.dtype == np.int16
    own = read_clip(corpus[0] / "5.mp4", sound=True).sound
    assert (sounds[0] == own[: FRAMES * 640]).all() and (sounds[0] == sounds[2]).all()
    assert pairs.sounds([]).shape == (0, 0)


def test_a_short_sound_is_padded_and_others_are_rejected_with_a_reason(folders):
    import pandas as pd

    index = pd.read_parquet(folders / "sounds" / "index.parquet")
    assert index["clip_id"].tolist() == ["train/0", "train/1", "train/5"]
    assert set(index["length"]) == {FRAMES * 640}
    samples = np.load(folders / "sounds" / "sounds.npy")
    padded = samples[FRAMES * 640 : 2 * FRAMES * 640]
    assert np.abs(padded[: 3 * 640]).max() > 4000 and not padded[5 * 640 :].any()
    reasons = pd.read_parquet(folders / "sounds" / "rejects.parquet").set_index("clip_id").reason
    assert list(reasons.index) == ["train/2", "train/3"]
    assert "not a readable media file" in reasons["train/2"]
    assert "30 frames a second" in reasons["train/3"]


def test_two_processes_give_the_same_bytes(corpus, folders, tmp_path):
    root, manifest = corpus
    write_sounds(manifest, "train", root, tmp_path, workers=2)
    for name in ("sounds.npy", "index.parquet", "rejects.parquet"):
        assert (tmp_path / name).read_bytes() == (folders / "sounds" / name).read_bytes()


def test_what_does_not_belong_together_is_refused(corpus, folders, tmp_path):
    root, manifest = corpus
    with pytest.raises(FileNotFoundError, match="make the sounds"):
        open_paired(folders / "crops", tmp_path)
    with pytest.raises(ValueError, match="no accepted clip in the split 'val'"):
        write_sounds(manifest, "val", root, tmp_path / "x")
    short = CropRecord("train/0", "W0", np.zeros((FRAMES - 1, 96, 96), np.uint8))
    write_crops(tmp_path / "short", [short], {})
    with pytest.raises(ValueError, match="train/0: 9 crops"):
        open_paired(tmp_path / "short", folders / "sounds")
    write_crops(tmp_path / "other", [CropRecord("val/0", "W0", short.crops)], {})
    with pytest.raises(ValueError, match="share no clip"):
        open_paired(tmp_path / "other", folders / "sounds")
