"""The weights of a trained word recogniser: `words` writes them, whoever asks it loads them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from visemix.config.model import Recogniser, recogniser_of
from visemix.models.word_recogniser import WordRecogniser, for_fast_convolutions
from visemix.training import outputs

WEIGHTS = "model.safetensors"


def write_recogniser(
    run_folder: Path,
    weights: dict[str, torch.Tensor],
    config: Recogniser,
    words: Sequence[str],
    subtract_mean_frame: bool = False,
) -> None:
    """Write weights with what `load_recogniser` must know beside them."""
    facts = {"model": config.to_json(), "words": list(words)}
    outputs.write_weights(
        run_folder / WEIGHTS, weights, facts | {"subtract_mean_frame": subtract_mean_frame}
    )


def load_recogniser(
    run_folder: str | Path, device: str = "cpu"
) -> tuple[WordRecogniser, list[str], bool]:
    """A trained model in evaluation mode, its words, and whether to subtract the mean frame.

    Raises FileNotFoundError for an untrained run, ValueError for a file of other weights.
    """

    def network_of(facts: dict) -> WordRecogniser:
        return for_fast_convolutions(WordRecogniser(recogniser_of(facts["model"])))

    model, facts = outputs.read_weights(Path(run_folder) / WEIGHTS, network_of, device)
    # under `augmentation` until version 3 of training.json
    subtract_mean_frame = facts.get("augmentation", facts)["subtract_mean_frame"]
    return model, facts["words"], subtract_mean_frame
