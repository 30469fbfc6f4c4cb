"""Batch augmentation: uint8 mouth crops go to the device, everything else happens there.

LipGen (arXiv 2501.04204, III-B) augments "as in" Ma et al., "Training strategies for improved
lip-reading" (arXiv 2209.01383): random 88x88 crop of the 96x96 mouth crop, horizontal flip, colour
jitter, temporal masking, mixup (Zhang et al., arXiv 1710.09412) and label smoothing. The numbers
that the papers leave unstated are parameters, in `config.training.Training`.

All random numbers of a batch are drawn by `draw`, keyed by (seed, step) alone, so a resumed run
needs no saved random state, and the device has no part in them.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch

from visemix.config.training import Training

CROP = 88  # side of the crop that the network sees, before any reduction to `input_size`
FLIP = 0.5  # probability of a horizontal flip, one for all frames of a clip
MEAN, STD = 0.421, 0.165  # of the grey levels scaled to [0, 1]


@dataclass(frozen=True)
class Draw:
    """The random numbers of one batch of B clips; arrays of shape (B,) unless said."""

    top: np.ndarray  # int, first row of the crop
    left: np.ndarray  # int, first column of the crop
    flip: np.ndarray  # bool
    brightness: np.ndarray  # float32, factor
    contrast: np.ndarray  # float32, factor
    mask_start: np.ndarray  # int, first masked frame
    mask_stop: np.ndarray  # int, frame after the last masked one
    partner: np.ndarray  # int, the clip that each clip of `own` is mixed with
    own_weight: float  # lambda of mixup: weight of the clip itself, 1 for no mixing
    own: slice = field(default_factory=lambda: slice(None))  # to train on; the others are partners
    # of `tensors_of`, for whoever has brought them to the device already
    tensors: dict[str, torch.Tensor] | None = None


def draw(training: Training, seed: int, step: int, shape: tuple[int, int, int]) -> Draw:
    """Draw the augmentation of optimiser step `step` for a batch of shape (B, T, side).

    One mask a clip, filled with the clip's mean, drawn as in the code of arXiv 2209.01383: two
    independent lengths m, w in [0, time_mask), start in [0, T - m), frames [start, start + w)
    masked, no mask when m = 0.
    """
    batch, frames, side = shape
    rng = np.random.default_rng([seed, step])
    reach = min(training.time_mask, frames)
    length, width = rng.integers(0, max(reach, 1), (2, batch))
    start = rng.integers(0, frames - length)
    stop = np.where(length > 0, np.minimum(start + width, frames), start)
    jitter = rng.uniform(-1, 1, (2, batch)).astype(np.float32)
    return Draw(
        top=rng.integers(0, side - CROP + 1, batch),
        left=rng.integers(0, side - CROP + 1, batch),
        flip=rng.random(batch) < FLIP,
        brightness=1 + training.colour_jitter * jitter[0],
        contrast=1 + training.colour_jitter * jitter[1],
        mask_start=start,
        mask_stop=stop,
        partner=rng.permutation(batch),
        own_weight=float(rng.beta(training.mixup, training.mixup)) if training.mixup else 1.0,
    )


def part_of(drawn: Draw, rank: int, processes: int) -> tuple[np.ndarray, Draw]:
    """The part of a batch's draw for process `rank` of several, each with an equal slice of it.

    A process reads the clips of its slice and those that they are mixed with, so that mixup is the
    same for any number of processes and no pixel travels between them.

    Returns:
        positions: of the clips to read, ascending, int.
        draw: of those clips, its `own` being the slice.
    """
    size = len(drawn.top) // processes
    own = np.arange(rank * size, (rank + 1) * size)
    partners = drawn.partner[own] if drawn.own_weight < 1 else own
    positions = np.union1d(own, partners)
    start = int(np.searchsorted(positions, own[0]))
    per_clip = ("top", "left", "flip", "brightness", "contrast", "mask_start", "mask_stop")
    return positions, Draw(
        **{name: getattr(drawn, name)[positions] for name in per_clip},
        partner=np.searchsorted(positions, partners),
        own_weight=drawn.own_weight,
        own=slice(start, start + size),
    )


def tensors_of(drawn: Draw, side: int, input_size: int = CROP) -> dict[str, torch.Tensor]:
    """What `augment` and `mix` need of a draw on the device, still on the CPU.

    rows, columns: float32 (B, input_size, side), which crop, flip, reduce and, the rows, scale
    bytes to [0, 1]; the others (B,), as in `Draw`.
    """
    areas = _area_weights(input_size)
    rows = _placed(areas, drawn.top, side)
    columns = _placed(areas, drawn.left, side)
    columns = np.where(drawn.flip[:, None, None], columns[:, ::-1], columns)
    plain = ("brightness", "contrast", "mask_start", "mask_stop", "partner")
    values = {name: torch.from_numpy(np.asarray(getattr(drawn, name))) for name in plain}
    bytes_to_unit = torch.from_numpy(rows) / 255
    return {"rows": bytes_to_unit, "columns": torch.from_numpy(columns), **values}


def augment(
    clips: torch.Tensor, drawn: Draw, subtract_mean_frame: bool, input_size: int = CROP
) -> torch.Tensor:
    """Augmented network input of a training batch.

    Args:
        clips: uint8 (B, T, H, W), square mouth crops of at least 88 pixels.
        subtract_mean_frame: take each clip's mean frame away instead of MEAN.
        input_size: side of the network input. Below 88 the crop is reduced by averaging areas.

    Returns:
        float32 (B, T, input_size, input_size), normalised, on the device of `clips`; B counts the
        clips of `drawn.own`.
    """
    device = clips.device
    tensors = drawn.tensors or tensors_of(drawn, clips.shape[-1], input_size)
    frames = _resample(clips, tensors["rows"], tensors["columns"])
    frames, level = _centred(frames, subtract_mean_frame)

    def column(name):  # (B,) -> (B, 1, 1, 1) on the device
        return tensors[name].to(device).view(-1, 1, 1, 1)

    # Brightness f and contrast c: f (c x + (1 - c) mean), then normalised; one affine map a clip.
    # No clipping at black and white, which keeps it affine.
    mean = frames.mean((1, 2, 3), keepdim=True)
    brightness, contrast = column("brightness"), column("contrast")
    scale = brightness * contrast / STD
    offset = (brightness * (1 - contrast) * mean - level) / STD
    time = torch.arange(frames.shape[1], device=device).view(1, -1, 1, 1)
    masked = (time >= column("mask_start")) & (time < column("mask_stop"))
    # A masked frame is the normalised clip mean: frames * 0 + (scale * mean + offset).
    filled = torch.where(masked, scale * mean + offset, offset)
    frames = torch.addcmul(filled, frames, torch.where(masked, 0.0, scale))
    return mix(frames, drawn)


def centre_crop(
    clips: torch.Tensor, subtract_mean_frame: bool, input_size: int = CROP
) -> torch.Tensor:
    """Network input of an evaluation batch: the central 88x88, normalised, nothing random.

    Args:
        clips: uint8 (B, T, H, W).

    Returns:
        float32 (B, T, input_size, input_size).
    """
    batch, _, _, side = clips.shape
    placed = _placed(_area_weights(input_size), np.full(batch, (side - CROP) // 2), side)
    weights = torch.from_numpy(placed)
    frames, level = _centred(_resample(clips, weights / 255, weights), subtract_mean_frame)
    return (frames - level) / STD


def centre_crop_unit(
    clips: torch.Tensor, subtract_mean_frame: bool, input_size: int = CROP
) -> torch.Tensor:
    """As `centre_crop`, for clips float (B, T, H, W) in [0, 1] that gradients flow back to."""
    side = clips.shape[-1]
    placed = _placed(_area_weights(input_size), np.full(1, (side - CROP) // 2), side)[0]
    weights = torch.from_numpy(placed).to(clips.device)
    frames, level = _centred(weights @ clips @ weights.T, subtract_mean_frame)
    return (frames - level) / STD


def _centred(frames: torch.Tensor, subtract_mean_frame: bool) -> tuple[torch.Tensor, float]:
    """Frames without their clip's mean frame if so set, and the grey level still to subtract."""
    if subtract_mean_frame:
        return frames - frames.mean(1, keepdim=True), 0.0
    return frames, MEAN


def smoothed_targets(labels: torch.Tensor, n_words: int, label_smoothing: float) -> torch.Tensor:
    """Word labels, int64 (B,), as smoothed distributions, float32 (B, n_words); rows sum to 1.

    With epsilon = label_smoothing and C words, 1 - epsilon + epsilon / C for the label and
    epsilon / C for the others.
    """
    targets = torch.full((len(labels), n_words), label_smoothing / n_words, device=labels.device)
    return targets.scatter_(1, labels[:, None], 1 - label_smoothing + label_smoothing / n_words)


def mix(values: torch.Tensor, drawn: Draw) -> torch.Tensor:
    """Mixup of frames, of word targets or of viseme targets alike: first axis B."""
    own = values[drawn.own]
    if drawn.own_weight == 1.0:
        return own
    partner = drawn.tensors["partner"] if drawn.tensors else torch.from_numpy(drawn.partner)
    return torch.lerp(values[partner.to(values.device)], own, drawn.own_weight)


@lru_cache
def _area_weights(input_size: int) -> np.ndarray:
    """(input_size, 88) weights: each output pixel is the mean of the area that it covers."""
    if not 1 <= input_size <= CROP:
        raise ValueError(f"input_size is {input_size}; it must lie between 1 and {CROP}")
    edges = np.arange(input_size + 1) * (CROP / input_size)
    pixels = np.arange(CROP)
    upper = np.minimum(edges[1:, None], pixels + 1)
    lower = np.maximum(edges[:-1, None], pixels)
    return (np.clip(upper - lower, 0, None) * (input_size / CROP)).astype(np.float32)


def _placed(weights: np.ndarray, starts: np.ndarray, side: int) -> np.ndarray:
    """(B, input_size, side): the weights moved to each clip's first crop row or column."""
    size, crop = weights.shape
    placed = np.zeros((len(starts), size, side), np.float32)
    for one, start in zip(placed, starts, strict=True):
        one[:, start : start + crop] = weights
    return placed


def _resample(clips: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Crop, flip, reduce and scale: rows @ clip @ columns^T for each frame.

    Cropping, flipping and area averaging are linear in each axis, so two matrix products with
    one small matrix a clip do all three. On a CPU clip by clip: a clip's floats stay in cache.
    """
    batch, frames, side, _ = clips.shape
    size = rows.shape[1]
    rows, columns = rows.to(clips.device), columns.to(clips.device).transpose(1, 2)
    chunk = batch if clips.is_cuda else 1
    resampled = torch.empty(batch, frames, size, size, device=clips.device)
    pixels = torch.empty(chunk, frames * side, side, device=clips.device)
    narrow = torch.empty(chunk, frames * side, size, device=clips.device)
    for at in range(0, batch, chunk):
        part = slice(at, at + chunk)
        pixels.copy_(clips[part].view_as(pixels))
        torch.bmm(pixels, columns[part], out=narrow)
        torch.matmul(rows[part, None], narrow.view(chunk, frames, side, size), out=resampled[part])
    return resampled
