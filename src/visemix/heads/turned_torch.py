"""The drawing of `turned` in torch, for GPUs: all frames of a clip at once, the same pixels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from visemix.heads.rasterizer_torch import rasterize_torch, sample_bilinear
from visemix.heads.turned import Surfaces, View, soften_outline


def draw_torch(
    surfaces: Surfaces, views: Sequence[View], pictures: np.ndarray, device: str
) -> np.ndarray:
    """`turned.draw` of each view and picture: pictures and result (T, H, W, 3) uint8.

    On the CPU the result is that of `turned.draw` bit for bit.
    """
    height, width = pictures.shape[1:3]
    xy, depth, source = (
        torch.from_numpy(np.stack([getattr(v, name) for v in views])).to(device)
        for name in ("xy", "depth", "source")
    )
    triangles = torch.from_numpy(surfaces.triangles).to(device).long()
    images = torch.from_numpy(pictures).to(device)
    seen, weights = rasterize_torch(xy, depth, triangles, height, width)
    out = torch.zeros_like(images)
    for t in range(len(views)):
        at = _interpolate(source[t], triangles[seen[t].clamp(min=0).long()], weights[t])
        own = at[..., 4:]
        colour = _sample(images[t : t + 1], at[None, ..., :2])[0]
        mirrored = _sample(images[t : t + 1], at[None, ..., 2:4])[0]
        colour = torch.where(own < 1, colour * own + mirrored * (1 - own), colour)
        out[t] = torch.where(seen[t][..., None] >= 0, colour + 0.5, 0.0).to(torch.uint8)
    frames = out.cpu().numpy()
    for frame, triangle in zip(frames, seen.cpu().numpy(), strict=True):
        soften_outline(frame, triangle, len(surfaces.triangles))
    return frames


def _interpolate(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Values (V, C) of the corners (H, W, 3) mixed by weights (H, W, 3): (H, W, C)."""
    i, j, k = (values[corners[..., n]] * weights[..., n : n + 1] for n in range(3))
    return i + j + k


def _sample(images: Tensor, xy: Tensor) -> Tensor:
    """Colours at xy, which are reflected at the lower edge as `turned` has it."""
    last = images.shape[1] - 1.0
    v = (last - (last - (xy[..., 1] - 0.5).clamp(min=0)).abs()).clamp(min=0)
    return sample_bilinear(images, torch.stack([xy[..., 0], v + 0.5], -1))
