"""LAM with the VSR perceptual loss on visual features (LAM-LRS3-VSR-V); see the package."""

from functools import partial

from visemix.generators import lam
from visemix.generators.lam import TRAINED, build, generate, generate_batch, load, prepare, version

__all__ = [
    "TRAINED", "build", "generate", "generate_batch", "load", "prepare", "train", "version",
]  # fmt: skip

train = partial(lam.train, configuration="V")
