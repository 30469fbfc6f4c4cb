"""Train the sync expert of Wav2Lip, and measure how well it finds shifts of the sound."""

import json
from pathlib import Path

import numpy as np
import torch

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.paired_clips import PairedClips, spread_rows
from visemix.generators.speech_windows import spectra_of
from visemix.generators.wav2lip.batches import WINDOWS, ExpertBatch, T, expert_batch, rows_of
from visemix.generators.wav2lip.syncnet import (
    MIN_WINDOWS,
    WEIGHTS,
    SyncNet,
    expert_loss,
    sync_confidence,
)
from visemix.media import SAMPLES_PER_FRAME
from visemix.run.provenance import code_digest
from visemix.training.outputs import Clock, circumstances
from visemix.training.steps import cosine_rate, descend, prepare_torch, set_rate

FILES = (WEIGHTS, "expert.csv", "expert.json")
SHIFTS = 3  # frames by which a sound is moved, at most, to see whether that is found
SHIFTED_CLIPS = 200  # at most; evenly spread over the held-out clips
_TRAINING, _VALIDATION, _SHIFTS = 1, 2, 5  # streams of random numbers


def train_syncnet(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str | torch.device = "cpu",
) -> dict:
    """Train the expert on PairedClips; write expert.safetensors, .csv and last .json to `folder`.

    The weights of the lowest loss on held_out are kept. An expert of the same data, settings, seed
    and code that is there already is kept too. settings: values of config.generators.Wav2Lip, and
    `threads`. Raises as training.steps.run_steps, and ValueError for clips of fewer than 21 frames.
    Returns the content of expert.json; among it loss and accuracy on held_out at the best step (see
    `validate_expert`), and how many shifts are found there (see `find_shifts`).
    """
    clock, folder, device = Clock(), Path(folder), torch.device(device)
    config, threads = trained.checked(sections.Wav2Lip, settings)
    prepare_torch(threads, device)
    code = code_digest(__name__)
    identified = trained.identify(
        "sync-expert", config, threads, seed, device, data, held_out, code=code
    )
    if (summary := folder / FILES[2]).is_file():
        found = json.loads(summary.read_text())
        if found["identity"] == identified["identity"]:
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

    def step(number: int, batch: ExpertBatch, notes: dict) -> dict[str, torch.Tensor]:
        if config.cosine:
            rate = cosine_rate(config.expert_learning_rate, number, config.expert_steps)
            set_rate(optimiser, rate)
        model.train()
        loss = expert_loss(model.compare(batch))
        descend(optimiser, loss)
        return {"loss": loss}

    def validate(done: int, notes: dict) -> dict[str, float]:
        row = validate_expert(model, held_out, held_out_spectra, seed, device)
        if "best" not in notes or row["validation_loss"] < notes["best"]["validation_loss"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            notes["best"] = {"step": done, **row, "model": weights}
        return row

    resume = folder / "expert.resume"
    parts = {"model": model, "optimiser": optimiser}
    state = trained.learn(
        config, identified, device, resume, parts, step, validate, read, steps=config.expert_steps
    )
    best = state["notes"]["best"]
    model.load_state_dict(best.pop("model"))
    trained.write_weights(folder / WEIGHTS, model)
    results = {
        "best": best,
        "shifts": find_shifts(model.eval(), held_out, seed),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    where = circumstances(device, threads, state, clock)
    return trained.finish(folder, resume, identified, results, state, where, FILES)


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
            first = (SHIFTS - move) * SAMPLES_PER_FRAME
            sound = held_out.sounds([source])[0, first : first + len(crops) * SAMPLES_PER_FRAME]
            totals[name] += abs(sync_confidence(model, crops, sound)[0] - move) <= 1
    return {name: int(total) for name, total in totals.items()} | {"n": len(rows)}
