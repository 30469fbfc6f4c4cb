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
    return animate(networks, optimisers, batch, training, step >= training.adversarial_start, vsr)


def animate(
    networks: nn.ModuleDict,
    optimisers: dict[str, torch.optim.Optimizer],
    batch: dict[str, torch.Tensor | None],
    training: LamTraining,
    judged: bool,
    vsr: losses.LipReaderLoss | None = None,
) -> dict[str, torch.Tensor]:
    """A step of the discriminators, if clips are `judged` already, and one of the generator.

    Where `micro_batch` is smaller than the batch, gradients are summed over parts of it, each with
    its clips' proportion of the batch as weight: all losses are means over clips. The speech
    encoder, whose batch normalisation looks at all clips, and which needs little memory, always
    works on the whole batch. The clips that discriminators learn from are then drawn twice.
    """
    generator = networks["generator"]
    spoken = generator.speech_encoder(batch["speech"])  # (B, F, z_s)
    codes = spoken.detach().requires_grad_()
    batch = {**batch, "codes": codes, "drawn": None if judged else batch["drawn"]}
    parts = micro_batches(batch, training.micro_batch)
    drawings = [None] * len(parts)  # with their graphs; several are drawn when they are needed
    if len(parts) == 1:
        drawings = [_draw(generator, parts[0])]
    terms = {}
    if judged:
        with torch.no_grad():
            shown = [
                _draw(generator, part) if made is None else made.detach()
                for part, made in zip(parts, drawings, strict=True)
            ]
        terms = _teach_discriminators(networks, optimisers, parts, shown)

    weights, sums = loss_weights(training), {}
    optimisers["generator"].zero_grad()
    for part, made in zip(parts, drawings, strict=True):
        made = _draw(generator, part) if made is None else made
        found = generator_losses(networks, part, made, vsr) if judged else _likeness(part, made)
        found = {"total": sum(weights[name] * value for name, value in found.items()), **found}
        proportion = len(made) / len(codes)
        (found["total"] * proportion).backward()
        for name, value in found.items():
            sums[name] = sums.get(name, 0) + value.detach() * proportion
    spoken.backward(codes.grad)
    optimisers["generator"].step()
    return {**sums, **terms}


def micro_batches(
    batch: dict[str, torch.Tensor | None], clips: int | None
) -> list[dict[str, torch.Tensor | None]]:
    """A batch in parts of so many clips, the last one of what is left; None: in one part."""
    size = len(batch["real"])
    clips = clips or size
    return [
        {name: None if value is None else value[at : at + clips] for name, value in batch.items()}
        for at in range(0, size, clips)
    ]


def _draw(generator: nn.Module, part: dict[str, torch.Tensor | None]) -> torch.Tensor:
    return generator.draw(part["real"][:, 0], part["codes"], part["rotations"], part["drawn"])


def _likeness(part: dict[str, torch.Tensor | None], made: torch.Tensor) -> dict:
    """The reconstruction of the drawn frames alone."""
    real, drawn = part["real"], part["drawn"]
    target = real if drawn is None else select_frames(real, drawn)
    return {"reconstruction": losses.reconstruction_loss(target, made)}


def _teach_discriminators(
    networks: nn.ModuleDict, optimisers: dict, parts: list[dict], shown: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """One step of each discriminator on real clips and those made, `shown`, part by part."""
    terms, size = {}, sum(map(len, shown))
    for name in ("image", "sequence"):
        networks[name].requires_grad_(True)
        optimisers[name].zero_grad()
        total = 0
        for part, made in zip(parts, shown, strict=True):
            truth, fake = (discriminate(networks, name, clips, part)
                           for clips in (part["real"], made))  # fmt: skip
            loss = losses.discriminator_loss(truth, fake)
            (loss * (len(made) / size)).backward()
            total = total + loss.detach() * (len(made) / size)
        optimisers[name].step()
        networks[name].requires_grad_(False)
        terms[f"discriminator_{name}"] = total
    return terms


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
