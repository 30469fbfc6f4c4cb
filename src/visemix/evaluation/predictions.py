"""What a trained recogniser says about every clip of a test set, and the metrics of that."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from visemix.clips import augmentation
from visemix.clips.shards import MANIFEST, REJECTS, open_crops, read_rejects, verify_crops
from visemix.evaluation.features import batches_of_equal_length
from visemix.evaluation.statistics import CONFIDENCE, wilson_interval
from visemix.run.atomic import atomic_path, sha256_file, write_json
from visemix.run.gpus import device_model
from visemix.run.provenance import environment
from visemix.training.recogniser import load_recogniser

TOP = 5


@torch.inference_mode()
def predict(
    run_folder: str | Path,
    crops_folder: str | Path,
    words: list[str],
    shuffle_frames: bool = False,
    seed: int = 0,
    device: str = "cpu",
    threads: int = 1,
    batch_size: int = 32,
    rejected_are_errors: bool = True,
) -> pd.DataFrame:
    """Predict the word of every clip of a crop set, central crop, no augmentation.

    words: the vocabulary, the same and in the same order as in training. shuffle_frames: control:
    puts the frames of each clip in a random order, keyed by (seed, clip_id); what a recogniser
    still gets right it does not owe to movement. rejected_are_errors: whether clips that the crop
    step rejected count, as errors; False leaves them out, as if the test set did not hold them.

    Returns one row a clip, sorted by clip_id: clip_id, label, speaker, top5 (list of words, most
    probable first), top5_probability (list), label_probability, correct, rejected. Rejected clips
    are rows without top5, or no rows but counted in `attrs["rejected_left_out"]`. Raises ValueError
    for other words than in training, a label outside of them, no clip to count, or a damaged set.
    """
    torch.set_num_threads(threads)
    model, trained_words, subtract_mean_frame = load_recogniser(run_folder, device)
    if list(words) != trained_words:
        raise ValueError(
            f"{run_folder} was trained on {len(trained_words)} words that are not the "
            f"{len(words)} given, or in another order; train the run again"
        )
    verify_crops(crops_folder)
    with open_crops(crops_folder) as crops:
        rejects = read_rejects(crops_folder)
        _check_labels(crops_folder, pd.concat([crops.index["label"], rejects["label"]]), words)
        tables = [_rejected_rows(rejects if rejected_are_errors else rejects[:0])]
        for rows in batches_of_equal_length(crops.index["length"].to_numpy(), batch_size):
            pixels = crops.read(rows)
            facts = crops.index.iloc[rows]
            if shuffle_frames:
                pixels = _shuffled(pixels, facts["clip_id"], seed)
            clips = torch.from_numpy(pixels).to(device)
            inputs = augmentation.centre_crop(clips, subtract_mean_frame, model.config.input_size)
            with torch.autocast(clips.device.type, torch.bfloat16, enabled=clips.is_cuda):
                logits = model(inputs)["word_logits"]
            tables.append(_predicted_rows(facts, torch.softmax(logits, 1).cpu(), words))
    # An empty table has no say in the column types of the others.
    tables = [table for table in tables if len(table)] or tables
    predictions = pd.concat(tables).sort_values("clip_id", ignore_index=True)
    if not rejected_are_errors:
        if predictions.empty:
            raise ValueError(
                f"all {len(rejects)} clips of {crops_folder} are rejects and none would count; see "
                "its rejects.parquet for the reasons, or set evaluation.rejected_are_errors: true"
            )
        predictions.attrs["rejected_left_out"] = len(rejects)
    return predictions


def metrics_of(predictions: pd.DataFrame) -> dict:
    """Accuracy with its Wilson interval, and top-5 accuracy, of a prediction table.

    n counts the `rejected` among the errors, and does not count those in `rejected_left_out`.
    """
    n, correct = len(predictions), int(predictions["correct"].sum())
    low, high = wilson_interval(correct, n)
    answers = zip(predictions["label"], predictions["top5"], strict=True)
    in_top = [label in top for label, top in answers]
    return {
        "accuracy": correct / n,
        "interval": [low, high],
        "confidence": CONFIDENCE,
        "n": n,
        "correct": correct,
        "rejected": int(predictions["rejected"].sum()),
        "rejected_left_out": predictions.attrs.get("rejected_left_out", 0),
        "top5_accuracy": sum(in_top) / n,
        "words": int(predictions["label"].nunique()),
        "speakers": int(predictions.loc[predictions["speaker"] != "", "speaker"].nunique()),
    }


def write_evaluation(folder: str | Path, predictions: pd.DataFrame, facts: dict) -> dict:
    """Write predictions.parquet and metrics.json (the metrics and `facts`); returns the latter.

    Version 2 of metrics.json has predictions_sha256 and what `provenance_of` says; version 1 lacks
    them and is else the same. From version 3 on rejected clips of predictions.parquet keep their
    speaker; before it is "".
    """
    folder = Path(folder)
    with atomic_path(folder / "predictions.parquet") as temporary:
        predictions.to_parquet(temporary, index=False)
    digest = sha256_file(folder / "predictions.parquet")
    metrics = {"version": 3, **metrics_of(predictions), **facts, "predictions_sha256": digest}
    write_json(folder / "metrics.json", metrics)
    return metrics


def provenance_of(crops_folder: str | Path, parameters: dict, code: str) -> dict:
    """What an evaluation was made from, with what, and where.

    parameters: the section `evaluation` of params.yaml; code: `code_digest` of the modules.
    """
    crops_folder = Path(crops_folder)
    return {
        "crops": str(crops_folder),
        "crops_manifest_sha256": sha256_file(crops_folder / MANIFEST),
        "rejects_sha256": sha256_file(crops_folder / REJECTS),
        "evaluation": parameters,
        "code": code,
        "device": device_model(),
        "environment": environment(),
    }


def _check_labels(folder: str | Path, labels: pd.Series, words: list[str]) -> None:
    if labels.empty:
        raise ValueError(f"{folder} holds no clip; re-run its crops")
    if unknown := sorted(set(labels) - set(words)):
        raise ValueError(
            f"{folder} has clips of {', '.join(map(repr, unknown[:5]))}, which are not among the "
            f"{len(words)} words that the run distinguishes"
        )


def _shuffled(clips: np.ndarray, clip_ids: pd.Series, seed: int) -> np.ndarray:
    orders = [
        np.random.default_rng([seed, zlib.crc32(clip_id.encode())]).permutation(clips.shape[1])
        for clip_id in clip_ids
    ]
    return np.stack([clip[order] for clip, order in zip(clips, orders, strict=True)])


def _predicted_rows(facts: pd.DataFrame, probabilities: torch.Tensor, words: list[str]):
    best, order = probabilities.topk(min(TOP, len(words)), dim=1)
    top = [[words[i] for i in row] for row in order.tolist()]
    classes = torch.tensor([words.index(label) for label in facts["label"]])
    of_label = probabilities.gather(1, classes[:, None]).squeeze(1).numpy()
    return _rows(facts, top, best.tolist(), of_label, rejected=False)


def _rejected_rows(rejects: pd.DataFrame) -> pd.DataFrame:
    nothing: list[list] = [[] for _ in range(len(rejects))]
    return _rows(rejects, nothing, nothing, np.zeros(len(rejects), np.float32), rejected=True)


def _rows(
    facts: pd.DataFrame, top: list[list], top_probability: list[list], of_label: np.ndarray,
    rejected: bool,
) -> pd.DataFrame:  # fmt: skip
    labels = facts["label"].tolist()
    return pd.DataFrame(
        {
            "clip_id": facts["clip_id"].tolist(),
            "label": labels,
            "speaker": facts["speaker"].tolist(),
            "top5": top,
            "top5_probability": top_probability,
            "label_probability": of_label,
            "correct": [row[:1] == [label] for row, label in zip(top, labels, strict=True)],
            "rejected": rejected,
        }
    )
