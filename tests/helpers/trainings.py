"""Every training of the project, made small: what a test of all of them goes over.

A new training is one more function here and one more row of TRAININGS.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

from tests.helpers.toy_clips import WORDS
from tests.helpers.toy_codebook import LOUD_OR_NOT
from tests.helpers.toy_speech import ToySpeech
from tests.helpers.toy_talkers import ToyTalkers
from tests.helpers.toy_words import MODEL, TRAINING, VISEMES, make_data, replace

from visemix.generators.aniportrait_small import training as aniportrait_training
from visemix.generators.lam import training as lam_training
from visemix.generators.wav2lip import expert_training
from visemix.generators.wav2lip import training as wav2lip_training
from visemix.training import checkpoints
from visemix.training import words as words_training

STEPS = 8
COMMON = {"steps": STEPS, "validate_every": 4, "threads": 1}
WAV2LIP = {
    "size": 24, "width": 1, "expert_width": 1, "discriminator_width": 1, "expert_steps": 2,
    "expert_batch_size": 8, "batch_size": 2, "sync_threshold": 0.0, **COMMON,
}  # fmt: skip
LAM = {
    "channels": (12, 8), "image_code": 4, "speech_code": 12, "rotation_code": 2,
    "speech_channels": 12, "speech_layers": 1, "discriminator_channels": 2, "batch_size": 8,
    "frames": 75, "sampled_frames": 2, "speech_steps": 2, "drawn_frames": 4,
    "adversarial_start": 5, "validation_clips": 2, **COMMON,
}  # fmt: skip
ANIPORTRAIT = {
    "size": 8, "patch": 2, "channels": [8, 12], "blocks": 1, "batch_size": 8, "frames": 3,
    "hidden_share": 0.1, "sampling_steps": 2, "guidance": 1.0, "validation_clips": 4, **COMMON,
}  # fmt: skip


def words(folder: Path, seed: int, **changes) -> dict:
    """Of the word recogniser; its clips lie beside `folder`."""
    training = replace(TRAINING, steps=STEPS, validate_every=4, **changes)
    data = make_data(folder.with_name("toy-clips"))
    return words_training.train(folder, words=WORDS, viseme_targets=VISEMES, config=MODEL,
                      training=training, seed=seed, **data)  # fmt: skip


def sync_expert(folder: Path, seed: int, **changes) -> dict:
    settings = WAV2LIP | {"expert_steps": STEPS}
    return _generator(expert_training.train_syncnet, _talkers, settings, folder, seed, changes)


def wav2lip_gan(folder: Path, seed: int, **changes) -> dict:
    adversarial = partial(wav2lip_training.train, adversarial=True)
    return _generator(adversarial, _talkers, WAV2LIP, folder, seed, changes)


def lam_baseline(folder: Path, seed: int, **changes) -> dict:
    return _generator(lam_training.train, ToySpeech, LAM, folder, seed, changes)


def aniportrait(folder: Path, seed: int, **changes) -> dict:
    with patch.object(aniportrait_training, "build_codebook", lambda threads: LOUD_OR_NOT):
        return _generator(aniportrait_training.train, ToySpeech, ANIPORTRAIT, folder, seed, changes)


def _generator(train, clips, settings, folder, seed, changes) -> dict:
    return train(clips(8), clips(2, seed=1), settings | changes, folder, seed)


def _talkers(clips: int, seed: int = 0) -> ToyTalkers:
    return ToyTalkers(clips, seed, frames=29)


@dataclass(frozen=True)
class Training:
    run: Callable[..., dict]  # (folder, seed, **settings) -> the record
    files: tuple[str, ...]  # that hold no times
    record: str  # written last


GENERATOR = ("weights.safetensors", "history.csv")
EXPERT = ("expert.safetensors", "expert.csv")
TRAININGS = {
    "words": Training(words, ("model.safetensors", "history.csv"), "training.json"),
    "sync-expert": Training(sync_expert, EXPERT, "expert.json"),
    "wav2lip-gan": Training(wav2lip_gan, EXPERT + GENERATOR, "generator.json"),
    "lam": Training(lam_baseline, GENERATOR, "generator.json"),
    "aniportrait-small": Training(aniportrait, GENERATOR, "generator.json"),
}


def disturbed(name: str, folder: Path, number: signal.Signals, step: int) -> None:
    """Make a training, with a checkpoint after each step, and send this process a signal.

    It comes as the checkpoint of `step` is about to be written.
    """
    write = checkpoints.save_checkpoint

    def save_checkpoint(place, digest, state):
        if state["step"] == step:
            os.kill(os.getpid(), number)
        write(place, digest, state)

    with patch.object(checkpoints, "save_checkpoint", save_checkpoint):
        TRAININGS[name].run(folder, 0, checkpoint_seconds=1e-9)
