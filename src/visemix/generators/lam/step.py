"""One step of LAM's training: the clips it reads, and what it does to the networks."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from visemix.clips import sampler
from visemix.generators.lam import losses
from visemix.generators.lam.model import select_frames
from visemix.generators.lam.settings import LamTraining
from visemix.generators.lam.weights import around, to_grey
from visemix.generators.paired_clips import PairedClips


def read_batch(
    data: PairedClips,
    spectra: Callable[[int], np.ndarray],
    training: LamTraining,
    seed: int,
    step: int,
    device: torch.device,
    rotations: np.ndarray | None = None,
) -> dict[str, torch.Tensor | None]:
    """The clips of a step, each from a frame on that is drawn, and the frames that D_img will see.

    `spectra` gives a clip's mel spectrogram (see speech_windows.spectra_of). Returns real
    (B, F, 96, 96) in [-1, 1], speech (B, F, 80, 16), rotations (B, F, 3, 3) or None, sampled (B, S)
    positions among the F frames, drawn (B, D) positions of those that are made before
    adversarial_start, or None for all.
    """
    position = sampler.position_of(step, len(data), training.batch_size)
    rows = sampler.batch_entries(seed, position, len(data), training.batch_size)
    crops = data.crops(rows)
    frames = min(training.frames, crops.shape[1])
    rng = np.random.default_rng([seed, step])
    first = rng.integers(0, crops.shape[1] - frames + 1, len(rows))
    sampled = rng.integers(0, frames, (len(rows), training.sampled_frames))
    which = np.arange(len(rows))[:, None], first[:, None] + np.arange(frames)
    spoken = np.stack([around(spectra(row), i) for row, i in zip(rows, which[1], strict=True)])
    drawn = None
    if training.drawn_frames is not None:
        order = rng.random((len(rows), frames)).argsort(1)
        drawn = torch.from_numpy(order[:, : training.drawn_frames]).to(device)
    turned = None
    if rotations is not None:  # relative to the frame that drives: R_t R_0^T
        chosen = rotations[rows][which].astype(np.float32)
        turned = torch.from_numpy(chosen @ chosen[:, :1].swapaxes(2, 3)).to(device)
    return {
        "real": to_grey(torch.from_numpy(crops[which]).to(device)),
        "speech": torch.from_numpy(spoken).to(device),
        "rotations": turned,
        "sampled": torch.from_numpy(sampled).to(device),
        "drawn": drawn,
    }


def update(
    networks: nn.ModuleDict,
    optimisers: dict[str, torch.optim.Optimizer],
    batch: dict[str, torch.Tensor | None],
    training: LamTraining,
    step: int,
    vsr: losses.LipReaderLoss | None = None,
) -> dict[str, torch.Tensor]:
    """One step of both discriminators, then one of the generator. Returns their losses, unweighted.

    In the first speech_steps the speech encoder alone learns. From then until adversarial_start
    nothing but the reconstruction of the drawn frames counts: neither the discriminators nor the
    lip reader, who need whole clips, have a part in it.
    """
    share = 1.0
    if training.cosine:
        share = 0.5 * (1 + math.cos(math.pi * step / training.steps))
    for name, optimiser in optimisers.items():
        slow = name == "sequence"
        rate = training.sequence_learning_rate if slow else training.learning_rate
        for group in optimiser.param_groups:
            group["lr"] = rate * share

    networks.train()
    if step < training.speech_steps:
        return hear(networks, optimisers, batch)
    real, first = batch["real"], batch["real"][:, 0]
    judged = step >= training.adversarial_start
    drawn = None if judged else batch["drawn"]
    made = networks["generator"](first, batch["speech"], batch["rotations"], drawn)
    terms = {}
    if judged:
        for name in ("image", "sequence"):
            networks[name].requires_grad_(True)
            truth, fake = (discriminate(networks, name, clips, batch) for clips in
                           (real, made.detach()))  # fmt: skip
            terms[f"discriminator_{name}"] = losses.discriminator_loss(truth, fake)
            _descend(optimisers[name], terms[f"discriminator_{name}"])
            networks[name].requires_grad_(False)
    if judged:
        generator_terms = generator_losses(networks, batch, made, vsr)
    else:
        target = real if drawn is None else select_frames(real, drawn)
        generator_terms = {"reconstruction": losses.reconstruction_loss(target, made)}
    weights = loss_weights(training)
    total = sum(weights[name] * value for name, value in generator_terms.items())
    _descend(optimisers["generator"], total)
    return {"total": total, **generator_terms, **terms}


def hear(
    networks: nn.ModuleDict, optimisers: dict[str, torch.optim.Optimizer], batch: dict
) -> dict[str, torch.Tensor]:
    """One step of the speech encoder, whose code shall tell by a linear map how mouths move."""
    said = networks["movement"](networks["generator"].speech_encoder(batch["speech"]))
    loss = losses.movement_loss(batch["real"], said)
    _descend(optimisers["movement"], loss)
    return {"speech": loss}


def generator_losses(
    networks: nn.ModuleDict,
    batch: dict[str, torch.Tensor | None],
    made: torch.Tensor,
    vsr: losses.LipReaderLoss | None = None,
) -> dict[str, torch.Tensor]:
    """The terms of equation 5 for whole clips `made`, without their weights."""
    terms = {"reconstruction": losses.reconstruction_loss(batch["real"], made)}
    for name in ("image", "sequence"):
        terms[name] = losses.deception_loss(discriminate(networks, name, made, batch))
    if vsr is not None:
        terms |= vsr(batch["real"], made)
    return terms


def loss_weights(training: LamTraining) -> dict[str, float]:
    """The weight of each term of `generator_losses`."""
    return {
        "reconstruction": training.reconstruction_weight,
        "image": training.image_weight,
        "sequence": training.sequence_weight,
        **training.vsr_weights,
    }


def discriminate(
    networks: nn.ModuleDict, name: str, clips: torch.Tensor, batch: dict[str, torch.Tensor | None]
) -> torch.Tensor:
    """Logits of D_img on the sampled frames beside the first real one, or of D_seq on clips."""
    if name == "sequence":
        return networks[name](clips)
    sampled = batch["sampled"]  # (B, S)
    frames = select_frames(clips, sampled)
    first = batch["real"][:, :1].expand(-1, sampled.shape[1], -1, -1)
    return networks[name](frames.flatten(0, 1), first.flatten(0, 1))


def _descend(optimiser: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def make_optimisers(networks: nn.ModuleDict, training: LamTraining) -> dict[str, torch.optim.Adam]:
    """One for each network; that of "movement" also has the speech encoder, see hear."""
    parameters = {name: [*network.parameters()] for name, network in networks.items()}
    if "movement" in networks:
        parameters["movement"] += networks["generator"].speech_encoder.parameters()
    return {
        name: torch.optim.Adam(values, betas=(training.beta1, 0.999))
        for name, values in parameters.items()
    }
