"""Small crop sets with a rule that a network can learn: the height of a bright spot is the word."""

from pathlib import Path

import numpy as np
import torch

from visemix.clips.shard_writer import CropRecord, write_crops

WORDS = ["ABOUT", "BLACK", "CHILD"]


def toy_records(clips: int, frames: int = 6, seed: int = 0, rejected: int = 0):
    """`clips` records, words in turn, then `rejected` ones without crops."""
    rng = np.random.default_rng([seed, clips])
    for number in range(clips):
        word = number % len(WORDS)
        crops = rng.integers(40, 90, (frames, 96, 96), dtype=np.uint8)
        top, left = 14 + 26 * word + rng.integers(0, 6), rng.integers(20, 60)
        crops[:, top : top + 16, left : left + 16] += np.uint8(150)
        clip_id = f"toy/{number:05d}"
        yield CropRecord(clip_id, WORDS[word], crops, speaker=f"speaker-{number % 7}")
    for number in range(rejected):
        clip_id, speaker = f"toy/9{number:04d}", f"speaker-{number % 7}"
        yield CropRecord(clip_id, WORDS[0], None, speaker=speaker, reason="no face")


def make_toy(folder: Path, clips: int, **options) -> Path:
    """Write a toy crop set and return its folder."""
    write_crops(folder, toy_records(clips, **options), {"toy": True}, clips_per_shard=16)
    return folder


def clips_of(batch=4, frames=9, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (batch, frames, 96, 96), dtype=np.uint8))
