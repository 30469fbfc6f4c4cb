"""Train the expert that the generator has to please, and say what it is worth."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from visemix.generators.paired_clips import spread_rows
from visemix.generators.speech_windows import spectra_of
from visemix.generators.wav2lip import resumable
from visemix.generators.wav2lip.batches import WINDOWS, ExpertBatch, expert_batch, rows_of
from visemix.generators.wav2lip.config import T, Wav2LipConfig
from visemix.generators.wav2lip.syncnet import (
    MIN_WINDOWS,
    WEIGHTS,
    SyncNet,
    expert_loss,
    sync_confidence,
)
from visemix.media import FPS, SAMPLE_RATE
from visemix.run.atomic import sha256_file, write_json
from visemix.training import checkpoints

HISTORY, SUMMARY = "expert.csv", "expert.json"
SHIFTS = 3  # frames by which a sound is moved, at most, to see whether that is found
SHIFTED_CLIPS = 200  # at most; evenly spread over the held-out clips
_TRAINING, _VALIDATION, _SHIFTS = 1, 2, 5  # streams of random numbers


def train_syncnet(
    data, held_out, settings: dict, folder: str | Path, seed: int, device: str = "cpu"
) -> dict:
    """Train the expert on PairedClips; write expert.safetensors, .csv and last .json to `folder`.

    The weights of the lowest loss on held_out are kept. An expert of the same data, settings, seed
    and code that is there already is kept too. settings: fields of Wav2LipConfig. Raises as
    `resumable.run_steps`, and ValueError for clips of fewer than 21 frames. Returns what
    expert.json holds: identity, settings, digests, seconds, loss and accuracy on held_out at the
    best step (see `validate_expert`), and what its offsets are worth there (see `find_shifts`).
    """
    began, folder, device = time.monotonic(), Path(folder), torch.device(device)
    config = Wav2LipConfig(**settings)
    resumable.prepare_torch(config, device)
    digests = {"training": data.digests, "held_out": held_out.digests}
    identity = resumable.identity_of("expert", config, seed, device, digests)
    if (folder / SUMMARY).is_file():
        found = json.loads((folder / SUMMARY).read_text())
        if found["identity"] == identity:
            return found
    least = 2 * SHIFTS + MIN_WINDOWS + T
    if (frames := held_out.crops([0]).shape[1]) < least:
        raise ValueError(f"the held-out clips have {frames} frames; give at least {least}")
    spectra, held_out_spectra = spectra_of(data), spectra_of(held_out)
    torch.manual_seed(seed)
    model = SyncNet(config).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.expert_learning_rate)

    def read(number: int) -> ExpertBatch:
        clips = max(1, config.expert_batch_size // WINDOWS)
        rows, rng = rows_of(seed, number, _TRAINING, len(data), clips)
        return expert_batch(data, spectra, rows, rng, config, device)

    def step(batch: ExpertBatch, notes: dict) -> dict[str, torch.Tensor]:
        model.train()
        loss = expert_loss(model.compare(batch))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss}

    def validate(number: int, notes: dict) -> dict[str, float]:
        row = validate_expert(model, held_out, held_out_spectra, seed, device)
        if "best" not in notes or row["validation_loss"] < notes["best"]["validation_loss"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            notes["best"] = {"step": number, **row, "model": weights}
        return row

    resume = folder / "expert.resume"
    parts = {"model": model, "optimiser": optimiser}
    state = resumable.run_steps(
        parts, read, step, validate, config.expert_steps, resume, identity, config, device
    )
    best = state["notes"]["best"]
    model.load_state_dict(best.pop("model"))
    resumable.write_weights(folder / WEIGHTS, model, config, identity)
    resumable.write_history(folder / HISTORY, state["history"])
    summary = {
        "version": 2,
        "identity": identity,
        "seed": seed,
        "settings": asdict(config),
        "digests": {**digests, "weights": sha256_file(folder / WEIGHTS)},
        "best": best,
        "shifts": find_shifts(model.eval(), held_out, seed),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "resumed_at_step": state["resumed_at_step"],
        "seconds": round(time.monotonic() - began, 3),
    }
    write_json(folder / SUMMARY, summary)
    checkpoints.remove_checkpoint(resume)
    return summary


@torch.inference_mode()
def validate_expert(
    model: SyncNet, held_out, spectra, seed: int, device: torch.device
) -> dict[str, float]:
    """Loss and accuracy over four windows of each of `validation_clips` held-out clips.

    The accuracy is that of choosing between two sounds of the clip: how often a window's own is
    nearer than another one. Chance is one half, and no threshold has a part in it.
    """
    model.eval()
    sums, size = {"loss": 0.0, "accuracy": 0.0}, max(1, model.config.expert_batch_size // WINDOWS)
    chosen = spread_rows(len(held_out), model.config.validation_clips)
    for number, start in enumerate(range(0, len(chosen), size)):
        rows = chosen[start : start + size]
        rng = np.random.default_rng([seed, _VALIDATION, number])
        cosines = model.compare(expert_batch(held_out, spectra, rows, rng, model.config, device))
        others = ~torch.eye(cosines.shape[-1], dtype=torch.bool, device=device)
        lead = (cosines.diagonal(dim1=1, dim2=2)[..., None] - cosines)[:, others]
        right = ((lead > 0).double() + 0.5 * (lead == 0)).mean()
        sums["loss"] += float(expert_loss(cosines)) * len(rows)
        sums["accuracy"] += float(right) * len(rows)
    return {f"validation_{name}": total / len(chosen) for name, total in sums.items()}


def find_shifts(model: SyncNet, held_out, seed: int) -> dict[str, int]:
    """In how many clips the expert finds by how much their sound was moved.

    Every sound is moved against its pictures by a random number of frames, -3 to 3, and both are
    cut to what is left whatever the number, so that nothing is padded. found: clips whose offset is
    within one frame of that number; found_in_others: the same with another clip's sound, which is
    chance (more than 3 of 19 offsets where clips pause at the same times); n: clips. The weights
    were chosen on the same clips, by their loss.
    """
    rows = spread_rows(len(held_out), SHIFTED_CLIPS)
    moves = np.random.default_rng([seed, _SHIFTS]).integers(
        -SHIFTS, SHIFTS, len(rows), endpoint=True
    )
    totals = {"found": 0, "found_in_others": 0}
    for i, (row, move) in enumerate(zip(rows, moves, strict=True)):
        crops = held_out.crops([row])[0, SHIFTS:-SHIFTS]
        sounds = {"found": row, "found_in_others": rows[(i + len(rows) // 2) % len(rows)]}
        for name, source in sounds.items():
            first = (SHIFTS - move) * SAMPLE_RATE // FPS
            sound = held_out.sounds([source])[0, first : first + len(crops) * SAMPLE_RATE // FPS]
            totals[name] += abs(sync_confidence(model, crops, sound)[0] - move) <= 1
    return {name: int(total) for name, total in totals.items()} | {"n": len(rows)}
