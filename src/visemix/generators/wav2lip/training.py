"""Train Wav2Lip and its GAN variant: the expert first, then the generator that has to please it.

Prajwal et al. (ACM MM 2020), section 4: a weighted sum of L1, the expert's loss and, in the GAN
variant, the quality discriminator's. Each step is a function of (seed, step): see `resumable`.
"""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from visemix.generators.paired_clips import spread_rows
from visemix.generators.speech_windows import spectra_of
from visemix.generators.wav2lip import resumable
from visemix.generators.wav2lip.batches import GeneratorBatch, generator_batch, rows_of
from visemix.generators.wav2lip.config import Wav2LipConfig
from visemix.generators.wav2lip.expert_training import train_syncnet
from visemix.generators.wav2lip.measures import measure
from visemix.generators.wav2lip.model import Critic, Generator
from visemix.generators.wav2lip.syncnet import SyncNet, load_syncnet, sync_loss
from visemix.run.atomic import sha256_file, write_json
from visemix.run.provenance import code_digest, environment
from visemix.training import checkpoints

WEIGHTS, HISTORY, SUMMARY = "weights.safetensors", "history.csv", "generator.json"
_TRAINING, _VALIDATION = 3, 4  # streams of random numbers; the expert has 1 and 2


def train(
    data,
    held_out,
    settings: dict,
    folder: str | Path,
    seed: int,
    device: str = "cpu",
    adversarial: bool = False,
) -> dict:
    """Train expert and generator on PairedClips and write them to `folder`.

    weights.safetensors, history.csv (a row a validation), expert.{safetensors,csv,json} and, last,
    generator.json: settings, seed, digests, device, threads, seconds, and measures on held_out
    before and after (see `measures.measure`). The last weights count, as in the published code;
    with `adversarial` the quality discriminator takes part. settings: fields of Wav2LipConfig.

    Returns the content of generator.json. Raises as `resumable.run_steps`, and ValueError for
    settings or clips that do not fit.
    """
    began, folder, device = time.monotonic(), Path(folder), torch.device(device)
    config = Wav2LipConfig(**settings)
    expert_facts = train_syncnet(data, held_out, settings, folder, seed, device)
    expert = load_syncnet(folder, device)
    resumable.prepare_torch(config, device)
    digests = {**expert_facts["digests"], "expert": expert_facts["digests"]["weights"]}
    purpose = "wav2lip-gan" if adversarial else "wav2lip"
    identity = resumable.identity_of(purpose, config, seed, device, digests)

    spectra, held_out_spectra = spectra_of(data), spectra_of(held_out)
    torch.manual_seed(seed)
    generator = Generator(config).to(device)
    if config.expert_audio:
        generator.audio_encoder[0].load_state_dict(expert.audio_encoder.state_dict())
    parts = {"generator": generator, "optimiser": _adam(generator, config, adversarial)}
    if adversarial:
        critic = Critic(config).to(device)
        parts |= {"critic": critic, "critic_optimiser": _adam(critic, config, adversarial)}
    before = measure(generator, expert, held_out)

    def read(number: int) -> GeneratorBatch:
        rows, rng = rows_of(seed, number, _TRAINING, len(data), config.batch_size)
        return generator_batch(data, spectra, rows, rng, config, device)

    def step(batch: GeneratorBatch, notes: dict) -> dict[str, torch.Tensor]:
        return training_step(parts, expert, batch, config, notes.get("sync_weight", 0.0))

    def validate(number: int, notes: dict) -> dict[str, float]:
        row = held_out_losses(generator, expert, held_out, held_out_spectra, seed, device)
        notes["sync_weight"] = next_sync_weight(
            notes.get("sync_weight", 0.0), row["held_out_sync"], config
        )
        return {**row, "sync_weight": notes["sync_weight"]}

    resume = folder / "generator.resume"
    state = resumable.run_steps(
        parts, read, step, validate, config.steps, resume, identity, config, device
    )
    weights = folder / WEIGHTS
    learnt_from = {"eye_to_mouth": data.eye_to_mouth, "alignment": data.alignment}
    resumable.write_weights(weights, generator, config, identity, **learnt_from)
    resumable.write_history(folder / HISTORY, state["history"])
    summary = {
        "version": 1,
        "generator": purpose,
        "identity": identity,
        "seed": seed,
        "settings": asdict(config),
        "digests": {
            **digests,
            "weights": sha256_file(weights),
            "code": code_digest(__name__),
        },
        "clips": len(data),
        "held_out_clips": len(held_out),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "expert": expert_facts,
        "before": before,
        "after": measure(generator, expert, held_out),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": config.threads,
        "environment": environment(),
        "resumed_at_step": state["resumed_at_step"],
        "seconds": round(time.monotonic() - began, 3),
    }
    write_json(folder / SUMMARY, summary)
    checkpoints.remove_checkpoint(resume)
    return summary


def load_generator(folder: str | Path, device: str = "cpu") -> tuple[Generator, float, str]:
    """The trained generator in evaluation mode; eye_to_mouth and alignment of its crops."""
    generator, facts = resumable.read_weights(Path(folder) / WEIGHTS, Generator, device)
    # older files do not say how the crops were cut
    return generator, facts["eye_to_mouth"], facts.get("alignment", "retinaface")


def training_step(
    parts: dict, expert: SyncNet, batch: GeneratorBatch, config: Wav2LipConfig, sync_weight: float
) -> dict[str, torch.Tensor]:
    """One step of the generator, then one of the discriminator if there is one; the losses."""
    generator, critic = parts["generator"], parts.get("critic")
    generator.train()
    drawn = draw(generator, batch)
    losses = generator_losses(drawn, batch, expert, critic, config)
    parts["optimiser"].zero_grad()
    total_loss(losses, sync_weight, config).backward()
    parts["optimiser"].step()
    if critic is not None:
        losses["critic"] = critic_loss(critic, drawn.detach(), batch.truth, config)
        parts["critic_optimiser"].zero_grad()
        losses["critic"].backward()
        parts["critic_optimiser"].step()
    return losses


def draw(generator: Generator, batch: GeneratorBatch) -> torch.Tensor:
    """Generated windows (n, 5, S, S) in [0, 1]."""
    drawn = generator(batch.frame_mels.flatten(0, 1), batch.faces.flatten(0, 1))
    return drawn.view(batch.truth.shape)


def generator_losses(
    drawn: torch.Tensor,
    batch: GeneratorBatch,
    expert: SyncNet,
    critic: Critic | None,
    config: Wav2LipConfig,
) -> dict[str, torch.Tensor]:
    """L1 over the whole crop; over the band the expert's loss and, with a critic, the adversarial.

    The expert's is minus the log of its cosine, the adversarial a cross-entropy against 'real'.
    """
    band = drawn[:, :, config.band]
    cosines = expert(batch.mels, band)
    losses = {
        "l1": F.l1_loss(drawn, batch.truth),
        "sync": sync_loss(cosines, torch.ones_like(cosines)),
    }
    if critic is not None:
        logits = critic(band.flatten(0, 1)[:, None])
        losses["adversarial"] = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    return losses


def total_loss(
    losses: dict[str, torch.Tensor], sync_weight: float, config: Wav2LipConfig
) -> torch.Tensor:
    """sync_weight * sync + gan_weight * adversarial + (1 - both weights) * L1 (section 4)."""
    gan_weight = config.gan_weight if "adversarial" in losses else 0.0
    total = (1 - sync_weight - gan_weight) * losses["l1"] + sync_weight * losses["sync"]
    return total + gan_weight * losses["adversarial"] if gan_weight else total


def critic_loss(
    critic: Critic, drawn: torch.Tensor, truth: torch.Tensor, config: Wav2LipConfig
) -> torch.Tensor:
    """Cross-entropy of the discriminator over bands of true and of drawn windows (n, 5, S, S)."""
    real, made = (critic(x[:, :, config.band].flatten(0, 1)[:, None]) for x in (truth, drawn))
    return F.binary_cross_entropy_with_logits(
        real, torch.ones_like(real)
    ) + F.binary_cross_entropy_with_logits(made, torch.zeros_like(made))


def next_sync_weight(weight: float, held_out_sync: float, config: Wav2LipConfig) -> float:
    """The expert's weight after a validation: switched on below the threshold, never off again."""
    return config.sync_weight if held_out_sync < config.sync_threshold else weight


@torch.inference_mode()
def held_out_losses(
    generator: Generator, expert: SyncNet, held_out, spectra, seed: int, device: torch.device
) -> dict[str, float]:
    """Mean L1 and sync loss over one window of each of `validation_clips` held-out clips."""
    generator.eval()
    config, sums = generator.config, {"l1": 0.0, "sync": 0.0}
    chosen = spread_rows(len(held_out), config.validation_clips)
    for number, start in enumerate(range(0, len(chosen), config.batch_size)):
        rows = chosen[start : start + config.batch_size]
        rng = np.random.default_rng([seed, _VALIDATION, number])
        batch = generator_batch(held_out, spectra, rows, rng, config, device)
        losses = generator_losses(draw(generator, batch), batch, expert, None, config)
        for name in sums:
            sums[name] += float(losses[name]) * len(rows)
    return {f"held_out_{name}": total / len(chosen) for name, total in sums.items()}


def _adam(network: torch.nn.Module, config: Wav2LipConfig, adversarial: bool) -> torch.optim.Adam:
    """The published GAN script has betas of its own, the plain one torch's defaults."""
    beta1 = 0.5 if adversarial else config.beta1
    return torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(beta1, 0.999))
