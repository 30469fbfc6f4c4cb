"""What judges a generator's clips: a lip reader trained on real clips, and a lip-sync expert."""

import json
from functools import partial
from pathlib import Path

from visemix.evaluation.features import front_end_features
from visemix.generators.paired_clips import open_paired
from visemix.generators.wav2lip.syncnet import load_syncnet, sync_confidence


def observers(
    run_folder: Path, expert_folder: Path, real_folder: Path, sounds_folder: Path, device: str,
    threads: int,
) -> dict:  # fmt: skip
    """The arguments features, sync and sounds of measure_generator.

    Folders of the lip reader's run, of the expert, of the real crops and of their sounds.
    """
    paired = open_paired(real_folder, sounds_folder)
    row_of = {clip_id: row for row, clip_id in enumerate(paired.clip_ids)}
    return {
        "features": partial(front_end_features, run_folder, device=device, threads=threads),
        "sync": partial(sync_confidence, load_syncnet(expert_folder, device)),
        "sounds": lambda clip_id: paired.sounds([row_of[clip_id]])[0],
    }


def accuracy_of_expert(expert_folder: Path) -> dict:
    """How well the expert finds sounds that were shifted, from the record of its training."""
    return json.loads((expert_folder / "expert.json").read_text())["shifts"]
