"""The real clips that tests know by name."""

import shutil
from pathlib import Path

from tests.helpers.workflow import REPOSITORY

REAL_CLIPS = REPOSITORY.parent / "shared" / "real_clips"
GRID_CLIPS = ("brbk7n", "lbax4n", "lwbsza", "pwij3p", "s1_lbaq6p", "s1_sgib8n", "sbwe5n", "swiz3n")
LRW_WORDS = ("AGAIN", "BLUE", "PLACE", "SOON", "THREE", "WHITE")  # two clips each


def copy_named(source: Path, target: Path) -> Path:
    """Copy the clips of GRID_CLIPS and LRW_WORDS, with what belongs to them; returns the target."""
    words = [Path("lrw_layout/lipread_mp4", word, "test") for word in LRW_WORDS]
    files = [Path("grid", f"{name}.mpg") for name in GRID_CLIPS]
    files += [Path("grid", f"{name}.align") for name in GRID_CLIPS if name.startswith("s1_")]
    for n, kind in ((1, "mp4"), (1, "txt"), (2, "mp4"), (2, "txt")):
        files += [folder / f"{folder.parts[2]}_{n:05d}.{kind}" for folder in words]
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)
    return target
