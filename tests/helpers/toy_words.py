"""A small training of the word recogniser on toy crop sets."""

import math
from pathlib import Path

import numpy as np
from tests.helpers.toy_clips import WORDS, make_toy

from visemix.clips.mixture import make_mixture
from visemix.config.model import Recogniser
from visemix.config.training import Training

MODEL = Recogniser(
    n_words=len(WORDS),
    n_visemes=5,
    input_size=32,
    width=4,
    temporal_shift=[0.0, 0.125, 0.125, 0.125],
    blocks=1,
    layers=1,
    dilations=[1],
    growth=12,
    reduced=16,
    viseme_branch="own",
    tafm_on="visemes",
    lambda_=0.1,
    gamma=math.inf,
)
TRAINING = Training(
    steps=60, batch_size=8, learning_rate=3e-3, validate_every=20, time_mask=3, threads=1
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


def replace(config, **changes):
    """A changed copy of parameters, checked."""
    return type(config)(**config.model_dump() | changes)


def in_older_words(config: Recogniser) -> dict:
    """What stood beside the weights until version 2 of training.json."""
    facts = config.to_json()
    backend = {name: facts.pop(name) for name in ("growth", "reduced", "kernels", "dropout")}
    backend["layers"] = [facts.pop("layers")] * facts.pop("blocks")
    backend |= {"squeeze": facts.pop("squeeze_excitation"), "dilations": [1, 2, 5]}
    del facts["dilations"]
    facts["tsm_ratios"] = facts.pop("temporal_shift")
    lambda_, gamma = facts.pop("lambda") or 0.1, facts.pop("gamma") or "inf"
    return facts | {"backend": backend, "lambda_": lambda_, "gamma": gamma}
