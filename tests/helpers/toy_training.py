"""A training of seconds on toy clips, to be disturbed, and what it comes to undisturbed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
from tests.helpers.toy_clips import WORDS, toy_records
from tests.helpers.workflow import REPOSITORY

from visemix.clips.mixture import make_mixture
from visemix.clips.shard_writer import build_crops
from visemix.config.model import Recogniser
from visemix.config.training import Training
from visemix.training.checkpoints import FILE_NAME
from visemix.training.launch import launch
from visemix.training.words import train

MODEL = Recogniser(
    n_words=len(WORDS), input_size=32, width=4, temporal_shift=[0.0] * 4, blocks=1, layers=1,
    dilations=[1], growth=12, reduced=16,
)  # fmt: skip
RESULTS = ("model.safetensors", "history.csv")


CLIPS = {"real": 24, "synthetic": 24, "validation": 12}


def make_data(folder: Path) -> None:
    """Crop sets of two sources and of validation clips in `folder`."""
    for name in CLIPS:
        make_set(folder / name)


def make_set(folder: Path) -> None:
    """Make one of these sets, or what of it is not whole."""
    seed = list(CLIPS).index(folder.name)
    records = {record.clip_id: record for record in toy_records(CLIPS[folder.name], seed=seed)}

    def make(rows):
        yield from (records[clip_id] for clip_id in rows["clip_id"])

    build_crops(folder, pd.DataFrame({"clip_id": list(records)}), make, {"toy": True}, 16)


def run(data: Path, folder: Path, processes: int = 1, checkpoint_seconds: float = 1000.0) -> dict:
    """Train on the crop sets of `make_data`, with checkpoints beside `folder`."""
    training = Training(
        steps=20,
        batch_size=4,
        validate_every=10,
        processes=processes,
        checkpoint_seconds=checkpoint_seconds,
        threads=1,
    )
    mixture = make_mixture("toy", data / "real", data / "synthetic", 1, seed=0)
    return launch(train, processes, run_folder=folder, mixture=mixture, words=WORDS,
                  validation_folder=data / "validation", viseme_targets=None,
                  config=MODEL, training=training, seed=0)  # fmt: skip


def results(folder: Path) -> list[bytes]:
    """The files of a run that hold no times."""
    return [(folder / name).read_bytes() for name in RESULTS]


def checkpoint_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".resume") / FILE_NAME


def start(data: Path, folder: Path, processes: int) -> subprocess.Popen:
    """The training in a process of its own, with a checkpoint after each step; waits for one."""
    path = checkpoint_of(folder)
    before = path.stat().st_mtime_ns if path.exists() else None
    code = (
        "import sys; from pathlib import Path; from tests.helpers import toy_training as t; "
        "t.run(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), 1e-9)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(data), str(folder), str(processes)], cwd=REPOSITORY,
        env={**os.environ, "PYTHONWARNINGS": "ignore"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not path.exists() or path.stat().st_mtime_ns == before:
        assert child.poll() is None, child.stderr.read()
        time.sleep(0.005)
    return child


def ranks_of(child: subprocess.Popen) -> list[psutil.Process]:
    """The two processes that train, of one that watches them."""
    children = psutil.Process(child.pid).children()
    ranks = [p for p in children if "spawn_main" in " ".join(p.cmdline())]
    assert len(ranks) == 2
    return ranks
