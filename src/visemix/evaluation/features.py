"""Features of a trained recogniser's frozen front-end, for distances between sets of clips."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visemix.clips import augmentation
from visemix.training.recogniser import load_recogniser


@torch.inference_mode()
def front_end_features(
    run_folder: str | Path,
    clips: Sequence[np.ndarray],
    device: str = "cpu",
    threads: int = 1,
    batch_size: int = 32,
) -> list[np.ndarray]:
    """Features (T, 8 width) float32 of each clip's frames; clips: crops (T, 96, 96) uint8.

    Central crop, no augmentation, float32 throughout. The features of a frame depend on a few
    neighbours in time. Clips may differ in length. Raises FileNotFoundError for an untrained run.
    On a GPU that has TF32 it is left unused: its products keep 10 bits of 23.
    """
    torch.set_num_threads(threads)
    model, _, subtract_mean_frame = load_recogniser(run_folder, device)
    features: list[np.ndarray] = [np.empty(0)] * len(clips)
    for batch in batches_of_equal_length(np.array([len(clip) for clip in clips]), batch_size):
        crops = torch.from_numpy(np.stack([clips[row] for row in batch])).to(device)
        inputs = augmentation.centre_crop(crops, subtract_mean_frame, model.config.input_size)
        with whole_float32():
            found = model.front_end(inputs).transpose(1, 2).cpu().numpy()  # (B, T, d)
        for row, one in zip(batch, found, strict=True):
            features[row] = one
    return features


def batches_of_equal_length(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Rows of clips of one length each, at most batch_size, from the lengths (n,) of all clips."""
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        yield from np.split(rows, range(batch_size, len(rows), batch_size))


@contextmanager
def whole_float32() -> Iterator[None]:
    """No TF32 within the block, in convolutions or in matrix products; afterwards as before."""
    places: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = False
        yield
    finally:
        for place, allowed in zip(places, before, strict=True):
            place.allow_tf32 = allowed
