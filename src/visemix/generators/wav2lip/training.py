"""Train Wav2Lip and its GAN variant: the expert first, then the generator against it.

Prajwal et al. (ACM MM 2020), section 4: a weighted sum of L1, the expert's loss and, in the GAN
variant, the quality discriminator's.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.paired_clips import PairedClips, spread_rows
from visemix.generators.speech_windows import spectra_of
from visemix.generators.wav2lip.batches import GeneratorBatch, generator_batch, rows_of
from visemix.generators.wav2lip.expert_training import train_syncnet
from visemix.generators.wav2lip.measures import measure
from visemix.generators.wav2lip.model import Discriminator, Generator
from visemix.generators.wav2lip.syncnet import SyncNet, load_syncnet, sync_loss
from visemix.run.provenance import code_digest
from visemix.training.outputs import Clock, circumstances
from visemix.training.steps import cosine_rate, descend, prepare_torch, set_rate

WEIGHTS = "weights.safetensors"
_TRAINING, _VALIDATION = 3, 4  # streams of random numbers; the expert has 1 and 2


def train(
    data: PairedClips,
    held_out: PairedClips,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str | torch.device = "cpu",
    adversarial: bool = False,
) -> dict:
    """Train expert and generator on PairedClips and write them to `folder`.

    weights.safetensors, history.csv (a row a validation), expert.{safetensors,csv,json} and, last,
    generator.json with measures on held_out before and after (see `measures.measure`). The last
    weights count, as in the published code; with `adversarial` the quality discriminator takes
    part. settings: values of config.generators.Wav2Lip, and `threads`.

    Returns the content of generator.json. Raises as training.steps.run_steps, and ValueError for
    settings or clips that do not fit.
    """
    clock, folder, device = Clock(), Path(folder), torch.device(device)
    expert_facts = train_syncnet(data, held_out, settings, folder, seed, device)
    expert = load_syncnet(folder, device)
    config, threads = trained.checked(sections.Wav2Lip, settings)
    prepare_torch(threads, device)
    name = "wav2lip-gan" if adversarial else "wav2lip"
    digests = {"code": code_digest(__name__), "expert": expert_facts["digests"]["weights"]}
    identified = trained.identify(name, config, threads, seed, device, data, held_out, **digests)

    torch.manual_seed(seed)
    generator = Generator(config).to(device)
    if config.expert_audio:
        generator.audio_encoder[0].load_state_dict(expert.audio_encoder.state_dict())
    parts: dict[str, Any] = {"generator": generator}
    parts["optimiser"] = _adam(generator, config, adversarial)
    if adversarial:
        parts["discriminator"] = Discriminator(config).to(device)
        optimiser = _adam(parts["discriminator"], config, adversarial)
        parts["discriminator_optimiser"] = optimiser
    before = measure(generator, expert, held_out)
    spectra, held_out_spectra = spectra_of(data), spectra_of(held_out)

    def read(number: int) -> GeneratorBatch:
        rows, rng = rows_of(seed, number, _TRAINING, len(data), config.batch_size)
        return generator_batch(data, spectra, rows, rng, config, device)

    def step(number: int, batch: GeneratorBatch, notes: dict) -> dict[str, torch.Tensor]:
        if config.cosine:
            rate = cosine_rate(config.learning_rate, number, config.steps)
            for name in parts.keys() & {"optimiser", "discriminator_optimiser"}:
                set_rate(parts[name], rate)
        return training_step(parts, expert, batch, config, notes.get("sync_weight", 0.0))

    def validate(done: int, notes: dict) -> dict[str, float]:
        row = held_out_losses(generator, expert, held_out, held_out_spectra, seed, device)
        weight = notes.get("sync_weight", 0.0)
        notes["sync_weight"] = next_sync_weight(weight, row["held_out_sync"], config)
        return {**row, "sync_weight": notes["sync_weight"]}

    resume = folder / "generator.resume"
    state = trained.learn(config, identified, device, resume, parts, step, validate, read)

    facts = {"eye_to_mouth": data.eye_to_mouth, "alignment": data.alignment}
    trained.write_weights(folder / WEIGHTS, generator, **facts)
    results = {
        "held_out_clips": len(held_out),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "expert": expert_facts,
        "before": before,
        "after": measure(generator, expert, held_out),
    }
    where = circumstances(device, threads, state, clock)
    return trained.finish(folder, resume, identified, results, state, where)


def load_generator(folder: str | Path, device: str = "cpu") -> tuple[Generator, float, str]:
    """The trained generator in evaluation mode; eye_to_mouth and alignment of its crops."""
    path = Path(folder) / WEIGHTS
    generator, facts = trained.read_weights(path, Generator, sections.Wav2Lip, device)
    return generator, facts["eye_to_mouth"], facts["alignment"]


def training_step(
    parts: dict,
    expert: SyncNet,
    batch: GeneratorBatch,
    settings: sections.Wav2Lip,
    sync_weight: float,
) -> dict[str, torch.Tensor]:
    """One step of the generator, then one of the discriminator if there is one; the losses."""
    generator, discriminator = parts["generator"], parts.get("discriminator")
    generator.train()
    drawn = draw(generator, batch)
    losses = generator_losses(drawn, batch, expert, discriminator, settings)
    descend(parts["optimiser"], total_loss(losses, sync_weight, settings))
    if discriminator is not None:
        loss = discriminator_loss(discriminator, drawn.detach(), batch.truth, settings)
        descend(parts["discriminator_optimiser"], loss)
        losses["discriminator"] = loss
    return losses


def draw(generator: Generator, batch: GeneratorBatch) -> torch.Tensor:
    """Generated windows (n, 5, S, S) in [0, 1]."""
    drawn = generator(batch.frame_mels.flatten(0, 1), batch.faces.flatten(0, 1))
    return drawn.view(batch.truth.shape)


def generator_losses(
    drawn: torch.Tensor,
    batch: GeneratorBatch,
    expert: SyncNet,
    discriminator: Discriminator | None,
    settings: sections.Wav2Lip,
) -> dict[str, torch.Tensor]:
    """L1 over the whole crop; over the band the expert's loss and, with a discriminator, its own.

    The expert's is minus the log of its cosine, the adversarial a cross-entropy against 'real'.
    """
    band = drawn[:, :, settings.band]
    cosines = expert(batch.mels, band)
    losses = {
        "l1": F.l1_loss(drawn, batch.truth),
        "sync": sync_loss(cosines, torch.ones_like(cosines)),
    }
    if discriminator is not None:
        logits = discriminator(band.flatten(0, 1)[:, None])
        losses["adversarial"] = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return losses


def total_loss(
    losses: dict[str, torch.Tensor], sync_weight: float, settings: sections.Wav2Lip
) -> torch.Tensor:
    """sync_weight * sync + gan_weight * adversarial + (1 - both weights) * L1 (section 4)."""
    gan_weight = settings.gan_weight if "adversarial" in losses else 0.0
    total = (1 - sync_weight - gan_weight) * losses["l1"] + sync_weight * losses["sync"]
    return total + gan_weight * losses["adversarial"] if gan_weight else total


def discriminator_loss(
    discriminator: Discriminator,
    drawn: torch.Tensor,
    truth: torch.Tensor,
    settings: sections.Wav2Lip,
) -> torch.Tensor:
    """Cross-entropy over bands of true and of drawn windows (n, 5, S, S)."""
    real, made = (
        discriminator(x[:, :, settings.band].flatten(0, 1)[:, None]) for x in (truth, drawn)
    )
    return F.binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + F.binary_cross_entropy_with_logits(made, torch.zeros_like(made))


def next_sync_weight(weight: float, held_out_sync: float, settings: sections.Wav2Lip) -> float:
    """The expert's weight after a validation: switched on below the threshold, never off again."""
    return settings.sync_weight if held_out_sync < settings.sync_threshold else weight


@torch.inference_mode()
def held_out_losses(
    generator: Generator, expert: SyncNet, held_out, spectra, seed: int, device: torch.device
) -> dict[str, float]:
    """Mean L1 and sync loss over one window of each of `validation_clips` held-out clips."""
    generator.eval()
    settings, sums = generator.config, {"l1": 0.0, "sync": 0.0}
    chosen = spread_rows(len(held_out), settings.validation_clips)
    for number, start in enumerate(range(0, len(chosen), settings.batch_size)):
        rows = chosen[start : start + settings.batch_size]
        rng = np.random.default_rng([seed, _VALIDATION, number])
        batch = generator_batch(held_out, spectra, rows, rng, settings, device)
        losses = generator_losses(draw(generator, batch), batch, expert, None, settings)
        for name in sums:
            sums[name] += float(losses[name]) * len(rows)
    return {f"held_out_{name}": total / len(chosen) for name, total in sums.items()}


def _adam(
    network: torch.nn.Module, settings: sections.Wav2Lip, adversarial: bool
) -> torch.optim.Adam:
    """The published GAN script has betas of its own, the plain one torch's defaults."""
    beta1 = 0.5 if adversarial else settings.beta1
    return torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=(beta1, 0.999))
