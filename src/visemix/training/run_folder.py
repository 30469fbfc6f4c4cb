"""What a training leaves behind: weights, history, and the facts that identify them."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch

from visemix.clips.augmentation import Augmentation
from visemix.models.word_recogniser import RecogniserConfig, WordRecogniser, for_fast_convolutions
from visemix.run.atomic import atomic_path, sha256_bytes, sha256_file
from visemix.run.provenance import code_digest

WEIGHTS, HISTORY, SUMMARY = "model.safetensors", "history.csv", "training.json"


def digests_of(
    mixture: dict, validation_folder: str | Path, words: Sequence[str], viseme_targets: np.ndarray
) -> dict[str, str]:
    """sha256 of each input of a training, and the digest of the code that makes weights of them.

    Read before the first step: what is edited while a training runs has no part in it.
    """
    return {
        "code": code_digest("visemix.training.loop"),
        "mixture": sha256_bytes(_canonical(mixture)),
        "validation_manifest": sha256_file(Path(validation_folder) / "manifest.json"),
        "words": sha256_bytes("\n".join(words).encode()),
        "viseme_targets": sha256_bytes(viseme_targets.tobytes()),
    }


def identity_of(
    model: RecogniserConfig, training: dict, seed: int, device: torch.device, digests: dict
) -> str:
    """sha256 of all that decides the trained weights; `training` as plain values.

    digests: of `digests_of`. A checkpoint of another identity, so of other code, is not resumed.
    """
    decisive = {name: value for name, value in training.items() if name != "checkpoint_seconds"}
    return sha256_bytes(
        _canonical(
            {
                "model": model.to_json(),
                "training": decisive,
                "seed": seed,
                "device": device.type,
                "digests": digests,
                "torch": torch.__version__,
            }
        )
    )


def _canonical(value) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def write_weights(
    path: Path,
    weights: dict[str, torch.Tensor],
    model: RecogniserConfig,
    words: Sequence[str],
    settings: Augmentation,
) -> None:
    """Write a state dict as safetensors, with what `load_recogniser` must know beside it."""
    facts = {"model": model.to_json(), "words": list(words), "augmentation": asdict(settings)}
    weights = {name: value.cpu().contiguous() for name, value in weights.items()}
    with atomic_path(path) as temporary:
        # One key alone: the order of several would change from process to process.
        safetensors.torch.save_file(weights, temporary, {"visemix": json.dumps(facts)})


def load_recogniser(
    run_folder: str | Path, device: str = "cpu"
) -> tuple[WordRecogniser, list[str], Augmentation]:
    """A trained model in evaluation mode, its words, and the settings of its input."""
    path = Path(run_folder) / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; train this run first")
    with safetensors.safe_open(path, framework="pt", device=device) as file:
        facts = json.loads(file.metadata()["visemix"])
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model = WordRecogniser(RecogniserConfig.from_json(facts["model"]))
    model.load_state_dict(weights)
    model = for_fast_convolutions(model).to(device).eval()
    return model, facts["words"], Augmentation(**facts["augmentation"])


def write_history(path: Path, history: list[dict]) -> None:
    """Write one CSV row a validation."""
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
