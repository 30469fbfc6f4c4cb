"""What the viseme classes of a trained recogniser's auxiliary branch attend to (LipGen, Eq. 1)."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from visemix.clips import augmentation
from visemix.models.temporal_attention_fusion import attention
from visemix.training.recogniser import load_recogniser


@torch.inference_mode()
def viseme_attention(run_folder: str | Path, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of frames and viseme classes, and the attention alpha, both (B, T, classes) float32.

    clips: crops (B, T, 96, 96) uint8, read as in an evaluation: central crop, no augmentation. A
    class is its row of the viseme classifier, a frame the branch's feature of it. Over time alpha
    is a distribution, for gamma infinite the one frame of largest cosine. Raises
    FileNotFoundError for an untrained run, ValueError for one without TAFM on a viseme branch.
    """
    torch.set_num_threads(1)
    model, _, subtract_mean_frame = load_recogniser(run_folder)
    if model.config.tafm_on not in ("visemes", "both") or model.viseme_head is None:
        raise ValueError(
            f"{run_folder} has tafm_on {model.config.tafm_on!r}: its viseme classes attend to no "
            "frames; take a run with tafm_on visemes or both"
        )
    inputs = augmentation.centre_crop(
        torch.from_numpy(clips), subtract_mean_frame, model.config.input_size
    )
    gamma = model.config.gamma
    assert gamma is not None  # config.runs.check_tafm
    frames = model.front_end(inputs)
    features = model.viseme_features(frames, model.back_end(frames))  # (B, T, D)
    rows = model.viseme_head.weight  # (classes, D)
    cosines = F.cosine_similarity(features[:, :, None], rows, dim=3)
    return cosines.numpy(), attention(features, rows, gamma).numpy()
