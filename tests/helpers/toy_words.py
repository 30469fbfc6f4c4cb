"""A small training of the word recogniser on toy crop sets."""

from pathlib import Path

import numpy as np
from tests.helpers.toy_clips import WORDS, make_toy

from visemix.clips.augmentation import Augmentation
from visemix.clips.mixture import make_mixture
from visemix.models.dctcn import DCTCNConfig
from visemix.models.word_recogniser import RecogniserConfig
from visemix.training.config import TrainingConfig

MODEL = RecogniserConfig(
    n_words=len(WORDS),
    n_visemes=5,
    input_size=32,
    width=4,
    tsm_ratios=(0.0, 0.125, 0.125, 0.125),
    backend=DCTCNConfig(layers=(1,), growth=12, reduced=16),
    viseme_branch="own",
    tafm_on="visemes",
)
TRAINING = TrainingConfig(
    steps=60,
    batch_size=8,
    learning_rate=3e-3,
    validate_every=20,
    augmentation=Augmentation(time_mask=3),
)
VISEMES = np.eye(3, 5, dtype=np.float32)


def make_data(folder: Path) -> dict:
    """Crop sets of two sources and of validation clips in `folder`, as arguments of a training.

    Those that are there already are taken.
    """
    if not folder.exists():
        make_toy(folder / "real", 30)
        make_toy(folder / "synthetic", 24, seed=1)
        make_toy(folder / "validation", 24, seed=2)
    sources = folder / "real", folder / "synthetic"
    return {
        "mixture": make_mixture("toy", *sources, 1.5, seed=0, redraw="epoch"),
        "validation_folder": folder / "validation",
    }
