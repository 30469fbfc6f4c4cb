"""Train one word recogniser, by optimiser steps, so that it can be stopped and made again exactly.

Everything random is a function of (seed, step): which clips a step reads, how they are augmented,
what dropout drops. A checkpoint therefore holds no random state, and a training that was killed
and started again ends in the same bytes as one that was not (same thread count, same kind of
device). The validation split alone selects the weights; the test split is unknown here.

Several processes (`launch`), one a GPU, train what one would, up to the rounding of sums: each
takes its slice of every batch, and they average their gradients and losses. The first of them
validates and writes.
"""

import gc
import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from visemix.clips import augmentation, batches
from visemix.clips import mixture as mixtures
from visemix.clips.shards import open_crops, verify_crops
from visemix.models.whole_batch import with_whole_batch_norms
from visemix.models.word_recogniser import RecogniserConfig, WordRecogniser, for_fast_convolutions
from visemix.run import data_parallel
from visemix.run.atomic import sha256_file, write_json
from visemix.run.provenance import environment
from visemix.training import checkpoints
from visemix.training import run_folder as outputs
from visemix.training.config import TrainingConfig
from visemix.training.entries import Entries, ProcessEntries

log = logging.getLogger(__name__)


def train(
    run_folder: str | Path,
    mixture: dict,
    validation_folder: str | Path,
    words: Sequence[str],
    viseme_targets: np.ndarray | None,
    model_config: RecogniserConfig,
    training: TrainingConfig,
    seed: int,
    device: str = "cpu",
    checkpoint_folder: str | Path | None = None,
) -> dict | None:
    """Train a recogniser on a mixture and write it to `run_folder`.

    With `training.processes` above 1 each of that many processes must call it (`launch`).

    Args:
        run_folder: gets model.safetensors (the weights of the best validation), history.csv (one
            row a validation) and, last, training.json.
        mixture: of `visemix.clips.mixture`, its folders relative to the working directory.
        validation_folder: crop set that selects the weights: highest accuracy, then lowest loss,
            then the earlier.
        words: the vocabulary; class i is words[i].
        viseme_targets: (n_words, n_visemes) multi-hot visemes of each word; needed if and only if
            the model has a viseme branch.
        checkpoint_folder: where checkpoints live until the training ends; beside the run if None.

    Returns:
        The content of training.json; None in all processes but the first.

    Raises:
        SystemExit: with status 75 after SIGTERM or SIGUSR1, once the checkpoint is written; start
            the same training again to go on.
        ValueError: arguments that do not fit each other, changed or damaged crop sets, or the
            checkpoint of another number of processes.
        FloatingPointError: the loss is not finite.
    """
    began = time.monotonic()
    words = list(words)
    run_folder, device = Path(run_folder), torch.device(device)
    checkpoint_folder = Path(checkpoint_folder or run_folder.with_name(run_folder.name + ".resume"))
    viseme_targets = _check_arguments(words, viseme_targets, model_config)
    mixtures.check_sources(mixture)
    digests = outputs.digests_of(mixture, validation_folder, words, viseme_targets)
    identity = outputs.identity_of(model_config, asdict(training), seed, device, digests)
    _prepare_torch(training, device)
    if training.processes != data_parallel.processes():
        raise ValueError(
            f"training.processes is {training.processes}, but {data_parallel.processes()} train "
            "here; start them with visemix.training.launch"
        )

    used = [source["repeats"] != 0 for source in mixture["sources"]]
    if not data_parallel.rank():  # the others wait for it before the first step
        for source in compress(mixture["sources"], used):
            verify_crops(source["folder"])
        verify_crops(validation_folder)

    # Data: training entries are (source, row) pairs, validation is read in order.
    sets = [
        open_crops(source["folder"]) if drawn else None
        for source, drawn in zip(mixture["sources"], used, strict=True)
    ]
    clips = batches.labelled_clips(sets, words)
    validation = batches.labelled_clips([open_crops(validation_folder)], words)
    entries = Entries(mixture, seed, training.batch_size)
    rank, clip_shape = data_parallel.rank(), (clips.frames, clips.side)
    part = ProcessEntries(entries, training.augmentation, clip_shape, rank, training.processes)
    viseme_targets = torch.from_numpy(viseme_targets).to(device)

    # Model, optimiser, and where they stand.
    torch.manual_seed(_key(seed, "initial weights"))
    model = for_fast_convolutions(WordRecogniser(model_config))
    model = with_whole_batch_norms(model, device).to(device)
    optimiser = torch.optim.Adam(
        model.parameters(),
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        decoupled_weight_decay=training.decoupled_decay,
        fused=True,
    )
    state = {"step": 0, "history": [], "best": None, "sums": torch.zeros(3, device=device)}
    state["processes"] = training.processes
    saved = checkpoints.load_checkpoint(checkpoint_folder, identity, device, training.processes)
    data_parallel.any_of(False)  # nobody writes before all have read
    if saved is not None:
        model.load_state_dict(saved.pop("model"))
        optimiser.load_state_dict(saved.pop("optimiser"))
        state = saved
    start = state["step"]

    def save():
        if rank:
            return
        parts = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
        checkpoints.save_checkpoint(checkpoint_folder, identity, {**state, **parts})

    due = checkpoints.Interval(training.checkpoint_seconds)
    steps = range(start, training.steps)
    tensors = partial(part.tensors, model_config.input_size)
    reading = batches.read_ahead(clips, part, steps, part.capacity, device, tensors)
    with checkpoints.stop_requests() as asked_to_stop, reading as stream:
        for batch in tqdm(stream, total=len(steps), unit="step", disable=not sys.stderr.isatty()):
            step = batch.number
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, training)
            drawn = replace(part.draw(step)[1], tensors=batch.beside)
            losses = training_losses(model, batch, drawn, viseme_targets, training, seed)
            loss = losses["word"] + training.viseme_weight * losses["viseme"]
            optimiser.zero_grad()
            loss.backward()
            means = torch.stack([loss, losses["word"], losses["viseme"]]).detach()
            data_parallel.average([*(weight.grad for weight in model.parameters()), means])
            optimiser.step()

            state["sums"] += means
            state["step"] = step + 1
            ended = state["step"] == training.steps
            if not rank and (ended or state["step"] % training.validate_every == 0):
                validated = validate(model, validation, training, device)
                _record(state, model, validated, training, entries)
            if data_parallel.any_of(asked_to_stop()) and not ended:
                save()
                data_parallel.any_of(False)  # nobody leaves before the checkpoint is written
                if not rank:
                    log.warning("stopped on request after step %d; start again to go on", step + 1)
                raise SystemExit(checkpoints.EXIT_STOPPED)
            if due.over():
                save()

    # Results: the summary last, so that a run with one is complete.
    if rank:
        return None
    seconds = time.monotonic() - began
    run_folder.mkdir(parents=True, exist_ok=True)
    best, weights = dict(state["best"]), run_folder / outputs.WEIGHTS
    outputs.write_weights(weights, best.pop("model"), model_config, words, training.augmentation)
    outputs.write_history(run_folder / outputs.HISTORY, state["history"])
    summary = {
        "version": 2,
        "identity": identity,
        "seed": seed,
        "words": words,
        "mixture": mixture,
        "model": model_config.to_json(),
        "training": asdict(training),
        "digests": {
            **digests,
            "weights": sha256_file(weights),
            "history": sha256_file(run_folder / outputs.HISTORY),
        },
        "best": best,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parameters_at_test": model.parameters_at_test(),
        "entries_per_epoch": entries.count,
        "epochs": training.steps / entries.steps_per_epoch,
        "processes": training.processes,
        "threads": training.threads,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "environment": environment(),
        "wall_seconds": round(seconds, 3),
        "resumed_at_step": start,
        "clips_per_second": round(len(steps) * training.batch_size / seconds, 1),
    }
    write_json(run_folder / outputs.SUMMARY, summary)
    checkpoints.remove_checkpoint(checkpoint_folder)
    return summary


def learning_rate(step: int, training: TrainingConfig) -> float:
    """Linear warm-up, then a cosine from the full rate to 0 at `training.steps`."""
    if step < training.warm_up:
        return training.learning_rate * (step + 1) / training.warm_up
    progress = (step - training.warm_up) / max(1, training.steps - training.warm_up)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def training_losses(
    model: WordRecogniser,
    batch: batches.Batch,
    drawn: augmentation.Draw,
    viseme_targets: torch.Tensor,
    training: TrainingConfig,
    seed: int,
) -> dict[str, torch.Tensor]:
    """Word and viseme loss of a batch augmented as drawn; the latter 0 without that branch."""
    settings, device = training.augmentation, batch.clips.device
    inputs = augmentation.augment(batch.clips, drawn, settings, model.config.input_size)
    targets = augmentation.smoothed_targets(
        batch.labels, model.config.n_words, settings.label_smoothing
    )
    model.train()
    torch.manual_seed(_key(seed, "dropout", batch.number))
    with _autocast(device):
        out = model(inputs)
    losses = {
        "word": F.cross_entropy(out["word_logits"], augmentation.mix(targets, drawn)),
        "viseme": torch.zeros((), device=device),
    }
    if out["viseme_logits"] is not None:
        visemes = augmentation.mix(viseme_targets[batch.labels], drawn)
        losses["viseme"] = F.binary_cross_entropy_with_logits(out["viseme_logits"], visemes)
    return losses


@torch.inference_mode()
def validate(
    model: WordRecogniser,
    clips: batches.LabelledClips,
    training: TrainingConfig,
    device: torch.device,
) -> dict[str, float]:
    """Accuracy and mean cross-entropy of the words on centre crops."""
    model.eval()
    count = sum(len(labels) for labels in clips.labels)
    size = max(training.batch_size, 32)
    numbers = range(-(-count // size))

    def in_order(number: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(number * size, min((number + 1) * size, count))
        return np.zeros_like(rows), rows

    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    with batches.read_ahead(clips, in_order, numbers, size, device) as stream:
        for batch in stream:
            inputs = augmentation.centre_crop(
                batch.clips, training.augmentation, model.config.input_size
            )
            with _autocast(device):
                logits = model(inputs)["word_logits"]
            loss += F.cross_entropy(logits, batch.labels, reduction="sum").double()
            correct += (logits.argmax(1) == batch.labels).sum()
    return {"accuracy": int(correct) / count, "loss": float(loss) / count}


def _check_arguments(words, viseme_targets, config: RecogniserConfig) -> np.ndarray:
    if len(set(words)) != config.n_words:
        raise ValueError(
            f"the model tells {config.n_words} words apart, but {len(set(words))} different words "
            "are given"
        )
    if (config.viseme_branch != "none") != (viseme_targets is not None):
        raise ValueError("viseme_targets are needed with viseme_branch, and only with it")
    if viseme_targets is None:
        return np.zeros((config.n_words, config.n_visemes), np.float32)
    targets = np.asarray(viseme_targets, np.float32)
    if targets.shape != (config.n_words, config.n_visemes):
        raise ValueError(
            f"viseme_targets have shape {targets.shape}; the model needs "
            f"{(config.n_words, config.n_visemes)}"
        )
    return targets


def _prepare_torch(training: TrainingConfig, device: torch.device) -> None:
    torch.set_num_threads(training.threads)
    torch.use_deterministic_algorithms(training.deterministic)
    # Deterministic mode also clears new memory for debugging, which costs a pass over all of it.
    torch.utils.deterministic.fill_uninitialized_memory = False
    gc.freeze()  # what exists now lives on: spare the collector from walking it again and again
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = not training.deterministic


def _autocast(device: torch.device):
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _key(seed: int, purpose: str, step: int = 0) -> int:
    """A seed for torch that no other (seed, purpose, step) shares, but by rare chance."""
    letters = int.from_bytes(purpose.encode()[:7], "big")
    return int(np.random.SeedSequence([seed, letters, step]).generate_state(1, np.uint64)[0])


def _record(state: dict, model, validated: dict, training: TrainingConfig, entries) -> None:
    """Add a row to the history and keep the weights if they are the best so far."""
    since = state["history"][-1]["step"] if state["history"] else 0
    loss, word, viseme = (state["sums"] / (state["step"] - since)).tolist()
    state["sums"] = torch.zeros_like(state["sums"])
    if not math.isfinite(loss + validated["loss"]):
        raise FloatingPointError(
            f"the loss is {loss}, in validation {validated['loss']}, at step {state['step']}; "
            f"lower learning_rate (now {training.learning_rate}) or raise warm_up"
        )
    row = {
        "step": state["step"],
        "epoch": state["step"] / entries.steps_per_epoch,
        "learning_rate": learning_rate(state["step"] - 1, training),
        "training_loss": loss,
        "word_loss": word,
        "viseme_loss": viseme,
        "validation_loss": validated["loss"],
        "validation_accuracy": validated["accuracy"],
    }
    state["history"].append(row)
    best = state["best"]
    rank = (validated["accuracy"], -validated["loss"])
    if best is None or rank > (best["accuracy"], -best["loss"]):
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        state["best"] = {"step": state["step"], **validated, "model": weights}
