"""Wav2Lip-GAN: Wav2Lip trained against a quality discriminator as well; see the package."""

from pathlib import Path

from visemix.generators.wav2lip import (
    TRAINED,
    build,
    generate,
    generate_batch,
    load,
    prepare,
    version,
)

__all__ = [
    "TRAINED", "build", "generate", "generate_batch", "load", "prepare", "train", "version",
]  # fmt: skip


def train(data, held_out, settings: dict, folder: Path, seed: int, device: str = "cpu") -> dict:
    """Train expert, generator and discriminator; see training.train."""
    from visemix.generators.wav2lip import training

    return training.train(data, held_out, settings, folder, seed, device, adversarial=True)
