"""Damaged, exchanged and malicious files are refused before anything is made of them."""

import os
import pickle
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from tests.helpers import toy_training

from visemix.clips.shards import ShardError
from visemix.corpora import lrw
from visemix.corpora.manifest import ManifestError, read_manifest, write_manifest
from visemix.faces.retinaface_resnet50 import load_network
from visemix.training.checkpoints import FILE_NAME, load_checkpoint


class Trap:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    toy_training.make_data(folder)
    toy_training.run(folder, folder / "run")
    return toy_training.results(folder / "run")


@pytest.fixture
def data(tmp_path):
    toy_training.make_data(tmp_path)
    return tmp_path


def refused(data: Path) -> str:
    """What a training on damaged crops says; it must leave nothing behind."""
    with pytest.raises(ShardError) as caught:
        toy_training.run(data, data / "run")
    assert not (data / "run").exists()
    return str(caught.value).replace(f"{data}/", "")


def make_again(folder: Path) -> list[str]:
    """Follow the remedy; returns the shards that were made anew."""
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    (folder / "manifest.json").unlink()
    toy_training.make_set(folder)
    return sorted(path.name for path, at in before.items() if path.stat().st_mtime_ns != at)


def test_truncated_shard(data, undisturbed, sees):
    """A shard is cut short -> nothing; delete the set's manifest.json and run again"""
    with open(data / "real/shard-00001.npy", "r+b") as file:
        file.truncate(1000)
    sees(refused(data))
    assert make_again(data / "real") == ["shard-00001.npy"]
    toy_training.run(data, data / "run")
    assert toy_training.results(data / "run") == undisturbed


def test_flipped_byte(data, undisturbed, sees):
    """A bit of a shard flips -> nothing; delete the set's manifest.json and run again"""
    path = data / "validation/shard-00000.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    sees(refused(data))
    assert make_again(data / "validation") == ["shard-00000.npy"]
    toy_training.run(data, data / "run")
    assert toy_training.results(data / "run") == undisturbed


def test_swapped_shards(data, undisturbed, sees):
    """Two shards of equal size change places -> nothing; delete the set's manifest.json and run
    again"""
    first, second = data / "real/shard-00000.npy", data / "synthetic/shard-00000.npy"
    assert first.stat().st_size == second.stat().st_size
    first.rename(data / "aside")
    second.rename(first)
    (data / "aside").rename(second)
    sees(refused(data))
    assert make_again(data / "real") == ["shard-00000.npy"]
    assert make_again(data / "synthetic") == ["shard-00000.npy"]
    toy_training.run(data, data / "run")
    assert toy_training.results(data / "run") == undisturbed


def test_checkpoint_that_is_a_pickle(tmp_path, sees):
    """A checkpoint is a pickle that runs code -> nothing: no code is run; delete the file"""
    trap = {"digest": "a" * 64, "step": Trap(tmp_path / "trapped")}
    torch.save(trap, tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint") as caught:
        load_checkpoint(tmp_path, "a" * 64, torch.device("cpu"))
    message = str(caught.value).replace(f"{tmp_path}/", "")
    sees(message[: message.index("(")] + "(...)" + message[message.rindex(")") + 1 :])
    assert (tmp_path / FILE_NAME).is_file()
    assert not (tmp_path / "trapped").exists()


def test_zip_of_weights_with_a_pickle_and_a_path(tmp_path, sees):
    """A zip of detector weights holds a pickle under '../../' -> nothing: nothing is unpacked or
    run; take the file that was meant"""
    path = tmp_path / "weights" / "inner" / "weights.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.pth", pickle.dumps(Trap(tmp_path / "trapped"), 2))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match="without running code") as caught:
        load_network(path, sha256(path.read_bytes()).hexdigest())
    sees(str(caught.value).replace(f"{path.parent}/", ""))
    assert sorted(tmp_path.rglob("*")) == before


def test_manifest_with_paths_out_of_the_corpus(finished_run, tmp_path, sees):
    """A manifest names files by '../' or from '/' -> nothing: no such file is opened; scan again"""
    manifest = read_manifest(finished_run / "data/manifests/miniature.parquet")
    write_manifest(manifest, tmp_path / "manifest.parquet")
    manifest.loc[0, "media"] = "../../etc/passwd"
    manifest.loc[1, "media"] = "/etc/passwd"
    manifest.to_parquet(tmp_path / "manifest.parquet", index=False)
    with pytest.raises(ManifestError) as caught:
        read_manifest(tmp_path / "manifest.parquet")
    sees(str(caught.value).replace(f"{tmp_path}/", ""))


def test_links_in_a_corpus(finished_run, tmp_path, sees):
    """Clips of a corpus are links to nothing, to a folder, to a secret -> those clips, rejected
    with the reason; put the files there and scan again"""
    source = finished_run / "data/corpora/miniature/lipread_mp4/ABOUT/val"
    folder = tmp_path / "corpus/lipread_mp4/ABOUT/val"
    shutil.copytree(source, folder)
    whole = len(list(folder.glob("*.mp4")))
    (tmp_path / "secret").write_text("not for manifests")
    for number, target in enumerate((folder / "none", folder.parent, tmp_path / "secret"), 97):
        (folder / f"ABOUT_000{number}.mp4").symlink_to(target)
    rows = lrw.scan(tmp_path / "corpus").set_index("clip_id")
    rejected = rows[rows["status"] == "rejected"]["reason"]
    assert list(rejected.index) == [f"val/ABOUT_000{number}" for number in (97, 98, 99)]
    assert (rows["status"] == "ok").sum() == whole
    sees("; ".join(rejected))
