"""Features of a trained recogniser's frozen front-end, for distances between sets of clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from visemix.clips import augmentation
from visemix.training.run_folder import load_recogniser


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
    """
    torch.set_num_threads(threads)
    model, _, settings = load_recogniser(run_folder, device)
    features: list = [None] * len(clips)
    lengths = np.array([len(clip) for clip in clips])
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        for batch in np.split(rows, range(batch_size, len(rows), batch_size)):
            crops = torch.from_numpy(np.stack([clips[row] for row in batch])).to(device)
            inputs = augmentation.centre_crop(crops, settings, model.config.input_size)
            found = model.front_end(inputs).transpose(1, 2).float().cpu().numpy()  # (B, T, d)
            for row, one in zip(batch, found, strict=True):
                features[row] = one
    return features
