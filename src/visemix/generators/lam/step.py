"""One step of LAM's training: the clips it reads, and what it does to the networks."""

from collections.abc import Callable
from typing import NotRequired, TypedDict, cast

import numpy as np
import torch
from torch import nn

from visemix.clips import sampler
from visemix.config import generators as sections
from visemix.generators.lam import losses
from visemix.generators.lam.model import Lam, select_frames
from visemix.generators.lam.weights import around, to_grey
from visemix.generators.paired_clips import PairedClips
from visemix.training.steps import cosine_rate, descend, set_rate

Optimisers = dict[str, torch.optim.Optimizer]


class Batch(TypedDict):
    """What `read_batch` returns, and later `codes`, the speech codes (B, F, z_s)."""

    real: torch.Tensor
    speech: torch.Tensor
    rotations: torch.Tensor | None
    sampled: torch.Tensor
    drawn: torch.Tensor | None
    codes: NotRequired[torch.Tensor]


def read_batch(
    data: PairedClips,
    spectra: Callable[[int], np.ndarray],
    settings: sections.Lam,
    seed: int,
    step: int,
    device: torch.device,
    rotations: np.ndarray | None = None,
) -> Batch:
    """The clips of a step, each from a frame on that is drawn, and the frames that D_img will see.

    `spectra` gives a clip's mel spectrogram (see speech_windows.spectra_of). Returns real
    (B, F, 96, 96) in [-1, 1], speech (B, F, 80, 16), rotations (B, F, 3, 3) or None, sampled (B, S)
    positions among the F frames, drawn (B, D) positions of those that are made before
    adversarial_start, or None for all.
    """
    position = sampler.position_of(step, len(data), settings.batch_size)
    rows = sampler.batch_entries(seed, position, len(data), settings.batch_size)
    crops = data.crops(rows)
    frames = min(settings.frames, crops.shape[1])
    rng = np.random.default_rng([seed, step])
    first = rng.integers(0, crops.shape[1] - frames + 1, len(rows))
    sampled = rng.integers(0, frames, (len(rows), settings.sampled_frames))
    which = np.arange(len(rows))[:, None], first[:, None] + np.arange(frames)
    spoken = np.stack([around(spectra(row), i) for row, i in zip(rows, which[1], strict=True)])
    drawn = turned = None
    if settings.drawn_frames is not None:
        order = rng.random((len(rows), frames)).argsort(1)
        drawn = torch.from_numpy(order[:, : settings.drawn_frames]).to(device)
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


def make_optimisers(networks: nn.ModuleDict, settings: sections.Lam) -> Optimisers:
    """One for each network; that of "movement" also has the speech encoder."""
    parameters = {name: [*network.parameters()] for name, network in networks.items()}
    if "movement" in networks:
        parameters["movement"] += _generator(networks).speech_encoder.parameters()
    return {
        name: torch.optim.Adam(values, betas=(settings.beta1, 0.999))
        for name, values in parameters.items()
    }


def loss_weights(settings: sections.Lam, configuration: str = "baseline") -> dict[str, float]:
    """The weight of each term of `generator_losses`."""
    visual, logits = losses.CONFIGURATIONS[configuration]
    return {
        "reconstruction": settings.reconstruction_weight,
        "image": settings.image_weight,
        "sequence": settings.sequence_weight,
        "visual": visual * settings.visual_weight,
        "logits": logits * settings.logits_weight,
    }


def update(
    networks: nn.ModuleDict,
    optimisers: Optimisers,
    batch: Batch,
    settings: sections.Lam,
    step: int,
    weights: dict[str, float],
    vsr: losses.LipReaderLoss | None = None,
) -> dict[str, torch.Tensor]:
    """One step of both discriminators, then one of the generator. Returns their losses, unweighted.

    In the first speech_steps the speech encoder alone learns. From then until adversarial_start
    nothing but the reconstruction of the drawn frames counts: neither the discriminators nor the
    lip reader, who need whole clips, have a part in it.

    Where `micro_batch` is smaller than the batch, gradients are summed over parts of it, each with
    its clips' proportion of the batch as weight: all losses are means over clips. The speech
    encoder, whose batch normalisation takes all clips together, and which needs little memory,
    always works on the whole batch. The clips that discriminators learn from are then drawn twice.
    """
    for name, optimiser in optimisers.items():
        slow = name == "sequence"
        rate = settings.sequence_learning_rate if slow else settings.learning_rate
        set_rate(optimiser, cosine_rate(rate, step, settings.steps) if settings.cosine else rate)
    networks.train()
    if step < settings.speech_steps:
        return _update_speech_encoder(networks, optimisers["movement"], batch)

    generator, adversarial = _generator(networks), step >= settings.adversarial_start
    spoken = generator.speech_encoder(batch["speech"])  # (B, F, z_s)
    codes = spoken.detach().requires_grad_()
    batch = {**batch, "codes": codes, "drawn": None if adversarial else batch["drawn"]}
    parts = micro_batches(batch, settings.micro_batch)
    # A whole batch is drawn once, and its graph kept; parts are drawn when they are needed.
    kept = [_draw(generator, parts[0])] if len(parts) == 1 else None
    terms: dict[str, torch.Tensor] = {}
    sums: dict[str, torch.Tensor] = {}
    if adversarial:
        with torch.no_grad():
            fixed = [m.detach() for m in kept or (_draw(generator, part) for part in parts)]
        terms = _update_discriminators(networks, optimisers, parts, fixed)

    optimisers["generator"].zero_grad()
    for part, made in zip(parts, kept or (_draw(generator, part) for part in parts), strict=True):
        found = generator_losses(networks, part, made, adversarial, vsr)
        total = sum(weights[name] * value for name, value in found.items())
        found = {"total": cast(torch.Tensor, total), **found}
        proportion = len(made) / len(codes)
        (found["total"] * proportion).backward()
        for name, value in found.items():
            sums[name] = sums.get(name, 0) + value.detach() * proportion
    spoken.backward(codes.grad)
    optimisers["generator"].step()
    return {**sums, **terms}


def micro_batches(batch: Batch, clips: int | None) -> list[Batch]:
    """A batch in parts of so many clips, the last one of what is left; None: in one part."""
    size = len(batch["real"])
    clips = clips or size
    tensors = cast(dict[str, torch.Tensor | None], batch)
    parts = [
        {name: None if value is None else value[at : at + clips] for name, value in tensors.items()}
        for at in range(0, size, clips)
    ]
    return cast(list[Batch], parts)


def generator_losses(
    networks: nn.ModuleDict,
    batch: Batch,
    made: torch.Tensor,
    adversarial: bool = True,
    vsr: losses.LipReaderLoss | None = None,
) -> dict[str, torch.Tensor]:
    """The terms of equation 5 for clips `made`, or their drawn frames, without their weights."""
    real, drawn = batch["real"], batch["drawn"]
    target = real if drawn is None else select_frames(real, drawn)
    terms = {"reconstruction": losses.reconstruction_loss(target, made)}
    if adversarial:
        for name in ("image", "sequence"):
            terms[name] = losses.adversarial_loss(discriminate(networks, name, made, batch))
    if adversarial and vsr is not None:
        terms |= vsr(real, made)
    return terms


def discriminate(
    networks: nn.ModuleDict, name: str, clips: torch.Tensor, batch: Batch
) -> torch.Tensor:
    """Logits of D_img on the sampled frames beside the first real one, or of D_seq on clips."""
    if name == "sequence":
        return networks[name](clips)
    sampled = batch["sampled"]  # (B, S)
    frames = select_frames(clips, sampled)
    first = batch["real"][:, :1].expand(-1, sampled.shape[1], -1, -1)
    return networks[name](frames.flatten(0, 1), first.flatten(0, 1))


def _generator(networks: nn.ModuleDict) -> Lam:
    return cast(Lam, networks["generator"])


def _draw(generator: Lam, part: Batch) -> torch.Tensor:
    return generator.draw(part["real"][:, 0], part["codes"], part["rotations"], part["drawn"])


def _update_discriminators(
    networks: nn.ModuleDict, optimisers: Optimisers, parts: list[Batch], made: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """One step of each discriminator on real clips and those made, part by part."""
    terms: dict[str, torch.Tensor] = {}
    size = sum(map(len, made))
    for name in ("image", "sequence"):
        networks[name].requires_grad_(True)
        optimisers[name].zero_grad()
        term = f"discriminator_{name}"
        for part, clips in zip(parts, made, strict=True):
            truth = discriminate(networks, name, part["real"], part)
            loss = losses.discriminator_loss(truth, discriminate(networks, name, clips, part))
            (loss * (len(clips) / size)).backward()
            terms[term] = terms.get(term, 0) + loss.detach() * (len(clips) / size)
        optimisers[name].step()
        networks[name].requires_grad_(False)
    return terms


def _update_speech_encoder(
    networks: nn.ModuleDict, optimiser: torch.optim.Optimizer, batch: Batch
) -> dict[str, torch.Tensor]:
    """One step of the speech encoder, whose code shall give the mouths' movement linearly."""
    predicted = networks["movement"](_generator(networks).speech_encoder(batch["speech"]))
    loss = losses.movement_loss(batch["real"], predicted)
    descend(optimiser, loss)
    return {"speech": loss}
