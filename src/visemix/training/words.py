"""Train one word recogniser: what a step and a validation of words are; `steps` is the loop.

Everything random is a function of (seed, step): which clips a step reads, how they are augmented,
what dropout drops. The validation split alone selects the weights; the test split is unknown here.

Several processes (`launch`), one a GPU, train what one would, up to the rounding of sums: each
takes its slice of every batch, and they average their gradients and losses. The first of them
validates and writes.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F

from visemix.clips import augmentation, batches
from visemix.clips import mixture as mixtures
from visemix.clips.sampler import steps_per_epoch
from visemix.clips.shards import open_crops, verify_crops
from visemix.config.model import Recogniser
from visemix.config.training import Training
from visemix.models.whole_batch import with_whole_batch_norms
from visemix.models.word_recogniser import WordRecogniser, for_fast_convolutions
from visemix.run import data_parallel
from visemix.run.atomic import sha256_bytes, sha256_file, write_json
from visemix.run.provenance import code_digest
from visemix.training import checkpoints, outputs
from visemix.training.entries import Entries
from visemix.training.recogniser import WEIGHTS, write_recogniser
from visemix.training.steps import cosine_rate, prepare_torch, run_steps, set_rate

HISTORY, SUMMARY = "history.csv", "training.json"
LOSSES = ("training_loss", "word_loss", "viseme_loss")


def train(
    run_folder: str | Path,
    mixture: dict,
    validation_folder: str | Path,
    words: Sequence[str],
    viseme_targets: np.ndarray | None,
    config: Recogniser,
    training: Training,
    seed: int,
    device: str | torch.device = "cpu",
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
        training: its `steps` are those on this mixture (`equalised`).
        checkpoint_folder: where checkpoints live until the training ends; beside the run if None.

    Returns:
        The content of training.json; None in all processes but the first.

    Raises:
        SystemExit, ValueError, FloatingPointError: see `run_steps`; ValueError also for arguments
            that do not fit each other, and for changed or damaged crop sets.
    """
    clock = outputs.Clock()
    words, run_folder, device = list(words), Path(run_folder), torch.device(device)
    checkpoint_folder = Path(checkpoint_folder or run_folder.with_name(run_folder.name + ".resume"))
    targets = _check_arguments(words, viseme_targets, config, training)
    mixtures.check_sources(mixture)
    facts: dict = {
        "seed": seed, "model": config.to_json(), "training": training.model_dump(),
        "digests": _digests_of(mixture, validation_folder, words, targets),
    }  # fmt: skip
    identity = outputs.identity_of(
        device, **facts | {"training": outputs.decisive(facts["training"])}
    )
    prepare_torch(training.threads, device)
    clips, validation = _open_data(mixture, validation_folder, words)
    entries = Entries(mixture, training, seed, (clips.frames, clips.side), data_parallel.rank())
    beside = partial(entries.tensors, config.input_size)
    visemes = torch.from_numpy(targets).to(device)
    model, optimiser = _network(config, training, seed, device)

    def step(number: int, batch: batches.Batch, notes: dict) -> dict[str, torch.Tensor]:
        set_rate(optimiser, _rate(number, training))
        drawn = replace(entries.draw(number)[1], tensors=batch.beside)
        word, viseme = training_losses(model, batch, drawn, visemes, training, seed)
        loss = word + training.viseme_weight * viseme
        optimiser.zero_grad()
        loss.backward()
        losses = torch.stack([loss, word, viseme]).detach()
        gradients = [cast(torch.Tensor, weight.grad) for weight in model.parameters()]
        data_parallel.average([*gradients, losses])
        optimiser.step()
        return dict(zip(LOSSES, losses, strict=True))

    def keep_the_best(done: int, notes: dict) -> dict[str, float]:
        found, best = validate(model, validation, training, device), notes.get("best")
        if best is None or _rank(found) > _rank(best):
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            notes["best"] = {"step": done, **found, "model": weights}
        return {f"validation_{name}": found[name] for name in ("loss", "accuracy")}

    state = run_steps(
        {"model": model, "optimiser": optimiser}, step, keep_the_best,
        steps=training.steps, validate_every=training.validate_every,
        checkpoint_seconds=training.checkpoint_seconds, folder=checkpoint_folder,
        identity=identity, device=device,
        batches=lambda numbers: batches.read_ahead(
            clips, entries, numbers, entries.capacity, device, beside
        ),
    )  # fmt: skip
    if data_parallel.rank():
        return None
    facts |= {"identity": identity, "words": words, "mixture": mixture}
    facts |= outputs.circumstances(device, training.threads, state, clock)
    summary = _write_run(run_folder, state, model, training, entries, facts)
    checkpoints.remove_checkpoint(checkpoint_folder)
    return summary


def _network(
    config: Recogniser, training: Training, seed: int, device: torch.device
) -> tuple[WordRecogniser, torch.optim.Optimizer]:
    torch.manual_seed(_key(seed, "initial weights"))
    model = for_fast_convolutions(WordRecogniser(config))
    model = with_whole_batch_norms(model, device).to(device)
    return model, torch.optim.Adam(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay,
        decoupled_weight_decay=True, fused=True,
    )  # fmt: skip


def _rate(step: int, training: Training) -> float:
    return cosine_rate(training.learning_rate, step, training.steps, training.warm_up)


def _rank(validated: dict) -> tuple[float, float]:
    return validated["accuracy"], -validated["loss"]


def training_losses(
    model: WordRecogniser,
    batch: batches.Batch,
    drawn: augmentation.Draw,
    viseme_targets: torch.Tensor,
    training: Training,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Word and viseme loss of a batch augmented as drawn; the latter 0 without that branch."""
    device, n_words = batch.clips.device, model.config.n_words
    inputs = augmentation.augment(
        batch.clips, drawn, training.subtract_mean_frame, model.config.input_size
    )
    targets = augmentation.smoothed_targets(batch.labels, n_words, training.label_smoothing)
    model.train()
    torch.manual_seed(_key(seed, "dropout", batch.number))
    with _autocast(device):
        out = model(inputs)
    word = F.cross_entropy(out["word_logits"], augmentation.mix(targets, drawn))
    if out["viseme_logits"] is None:
        return word, torch.zeros((), device=device)
    visemes = augmentation.mix(viseme_targets[batch.labels], drawn)
    return word, F.binary_cross_entropy_with_logits(out["viseme_logits"], visemes)


@torch.inference_mode()
def validate(
    model: WordRecogniser,
    clips: batches.LabelledClips,
    training: Training,
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
                batch.clips, training.subtract_mean_frame, model.config.input_size
            )
            with _autocast(device):
                logits = model(inputs)["word_logits"]
            loss += F.cross_entropy(logits, batch.labels, reduction="sum").double()
            correct += (logits.argmax(1) == batch.labels).sum()
    return {"accuracy": int(correct) / count, "loss": float(loss) / count}


def equalised(training: Training, mixture: dict) -> Training:
    """The training with its steps on `mixture`.

    With `equal` 'epochs', the mixture is seen as many epochs as `steps` see the real clips alone,
    and its weights are selected by as many validations; with 'updates' it is `steps`, whatever it
    is trained on.
    """
    if training.equal == "updates":
        return training
    entries, size = len(mixtures.expand_mixture(mixture)[0]), training.batch_size
    real = next(s["clips"] for s in mixture["sources"] if s["role"] == "real")
    epochs = training.steps / steps_per_epoch(real, size)
    steps = max(1, round(epochs * steps_per_epoch(entries, size)))
    every = max(1, round(training.validate_every * steps / training.steps))
    return training.model_copy(update={"steps": steps, "validate_every": every})


def _check_arguments(words, viseme_targets, config: Recogniser, training: Training) -> np.ndarray:
    """The targets, zeros without a viseme branch. Raises ValueError."""
    if training.processes != data_parallel.processes():
        raise ValueError(
            f"training.processes is {training.processes}, but {data_parallel.processes()} train "
            "here; start them with visemix.training.launch"
        )
    if len(set(words)) != config.n_words:
        raise ValueError(
            f"the model distinguishes {config.n_words} words, but {len(set(words))} different "
            "words are given"
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


def _digests_of(mixture: dict, validation_folder, words, viseme_targets) -> dict[str, str]:
    """sha256 of each input of a training, and the digest of the code that makes weights of them.

    Read before the first step: what is edited while a training runs has no part in it.
    """
    canonical = json.dumps(mixture, sort_keys=True, ensure_ascii=False)
    return {
        "code": code_digest(__name__),
        "mixture": sha256_bytes(canonical.encode()),
        "validation_manifest": sha256_file(Path(validation_folder) / "manifest.json"),
        "words": sha256_bytes("\n".join(words).encode()),
        "viseme_targets": sha256_bytes(viseme_targets.tobytes()),
    }


def _open_data(
    mixture: dict, validation_folder: str | Path, words: list[str]
) -> tuple[batches.LabelledClips, batches.LabelledClips]:
    """The clips to train on and those to validate on, checked by the first process."""
    folders = [s["folder"] if s["repeats"] != 0 else None for s in mixture["sources"]]
    if not data_parallel.rank():  # the others wait for it before the first step
        for folder in filter(None, (*folders, validation_folder)):
            verify_crops(folder)
    sets = [folder and open_crops(folder) for folder in folders]
    validation = batches.labelled_clips([open_crops(validation_folder)], words)
    return batches.labelled_clips(sets, words), validation


def _autocast(device: torch.device):
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _key(seed: int, purpose: str, step: int = 0) -> int:
    """A seed for torch that no other (seed, purpose, step) shares, but by rare chance."""
    letters = int.from_bytes(purpose.encode()[:7], "big")
    return int(np.random.SeedSequence([seed, letters, step]).generate_state(1, np.uint64)[0])


def _write_run(
    folder: Path, state: dict, model: WordRecogniser, training: Training, entries: Entries,
    facts: dict,
) -> dict:  # fmt: skip
    """Write weights, history and, last, the summary, so that a run with one is complete."""
    best = dict(state["notes"]["best"])
    weights = best.pop("model")
    write_recogniser(folder, weights, model.config, facts["words"], training.subtract_mean_frame)
    rows = [
        {
            "step": row["step"],
            "epoch": row["step"] / entries.steps_per_epoch,
            "learning_rate": _rate(row["step"] - 1, training),
            **{name: float(np.float32(row[name])) for name in LOSSES},  # as they were summed
            **{name: row[name] for name in ("validation_loss", "validation_accuracy")},
        }
        for row in state["history"]
    ]
    outputs.write_history(folder / HISTORY, rows)
    written = {"weights": sha256_file(folder / WEIGHTS), "history": sha256_file(folder / HISTORY)}
    steps = training.steps - state["resumed_at_step"]
    summary = {
        "version": 3,
        **facts,
        "digests": facts["digests"] | written,
        "best": best,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parameters_at_test": model.parameters_at_test(),
        "entries_per_epoch": entries.count,
        "epochs": training.steps / entries.steps_per_epoch,
        "processes": training.processes,
        "clips_per_second": round(steps * training.batch_size / facts["wall_seconds"], 1),
    }
    write_json(folder / SUMMARY, summary)
    return summary
