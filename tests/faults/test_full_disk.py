"""A disk that is full: a small tmpfs, which needs the right to mount one."""

import subprocess

import pytest
import torch
from tests.helpers import toy_training

from visemix.training import checkpoints


@pytest.fixture
def small_disk(tmp_path):
    """A folder with 2 MB of room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no right to mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def notes_of(error: BaseException, folder) -> str:
    """The last line of an error and the notes under it, as they stand at the end of a log."""
    text = "; ".join([str(error).splitlines()[0], *getattr(error, "__notes__", [])])
    return text.replace(f"{folder}/", "")


def test_full_disk_at_a_checkpoint(small_disk, sees):
    """The disk is full when a checkpoint is written -> the steps since the last checkpoint, which
    is kept; make room and run again"""
    state = {"step": 7, "weights": torch.ones(1000)}
    checkpoints.save_checkpoint(small_disk, "a" * 64, state)
    with pytest.raises(OSError, match="No space left") as caught:
        checkpoints.save_checkpoint(small_disk, "a" * 64, state | {"weights": torch.ones(10**6)})
    sees(notes_of(caught.value, small_disk))
    assert [path.name for path in small_disk.iterdir()] == [checkpoints.FILE_NAME]
    kept = checkpoints.load_checkpoint(small_disk, "a" * 64, torch.device("cpu"))
    assert kept["step"] == 7


def test_full_disk_in_a_crop_set(small_disk, tmp_path, sees):
    """The disk is full when a shard is written -> that shard, whole ones are kept; make room and
    run again"""
    toy_training.make_set(tmp_path / "real")
    room = small_disk / "of others"
    room.write_bytes(bytes(1_000_000))
    with pytest.raises(OSError, match="No space left") as caught:
        toy_training.make_set(small_disk / "real")
    sees(notes_of(caught.value, small_disk))
    first = small_disk / "real/shard-00000.npy"
    kept = first.stat().st_mtime_ns
    assert not list((small_disk / "real").glob(".*")) + list(small_disk.glob("real/manifest.json"))
    room.unlink()
    toy_training.make_set(small_disk / "real")
    assert first.stat().st_mtime_ns == kept
    for path in (tmp_path / "real").iterdir():
        assert (small_disk / "real" / path.name).read_bytes() == path.read_bytes()
