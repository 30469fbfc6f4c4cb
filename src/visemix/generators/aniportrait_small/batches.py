"""What a step of the training reads: frames to draw, the reference and the mesh beside them."""

from functools import lru_cache

import numpy as np
import torch

from visemix.clips import sampler
from visemix.config import generators as sections
from visemix.generators.aniportrait_small.renderer import Renderer
from visemix.generators.paired_clips import PairedClips, spread_rows
from visemix.media import SAMPLES_PER_FRAME

SPREAD_CLIPS = 64  # of the training split, from which it is measured how much frames change
KEPT_MOVEMENTS = 50_000  # clips whose mesh movement is kept in memory, 1.5 kB each


class Batches:
    """Reads batches of training clips as the network sees them."""

    def __init__(
        self, data: PairedClips, renderer: Renderer, settings: sections.Aniportrait, seed: int
    ):
        self.data, self.renderer, self.settings, self.seed = data, renderer, settings, seed
        self._movement = lru_cache(KEPT_MOVEMENTS)(self._read_movement)

    def read(self, step: int) -> tuple[torch.Tensor, ...]:
        """reference, mesh, change, noise, times of a step: a function of (seed, step).

        B * F frames of `batch_size` clips, the reference another frame of the same clip, drawn as
        they are: reference, change and noise (B F, 1, size, size), mesh (B F, 3, size, size), times
        (B F,) evenly drawn from 0..1. A change is in units of the renderer's spread, and a hidden
        mesh is zeros.
        """
        settings, device = self.settings, next(self.renderer.network.parameters()).device
        position = sampler.position_of(step, len(self.data), settings.batch_size)
        rows = sampler.batch_entries(self.seed, position, len(self.data), settings.batch_size)
        crops, rng = self.data.crops(rows), np.random.default_rng([self.seed, step])
        frames = min(settings.frames, crops.shape[1] - 1)
        chosen = np.stack([rng.permutation(crops.shape[1])[: frames + 1] for _ in rows])
        which = np.arange(len(rows))[:, None], chosen
        pictures = squares(self.renderer, crops[which], device)  # (B, F + 1, 1, size, size)
        moved = np.stack([self._movement(row) for row in rows])[which][:, 1:]
        drawn = self.renderer.mesh.draw(moved.reshape(-1, moved.shape[-1]))
        seen = rng.random((len(drawn), 1, 1, 1), np.float32) >= settings.hidden_share
        mesh = self.renderer.square(drawn, device) * torch.from_numpy(seen).to(device)
        reference = pictures[:, :1].expand(-1, frames, -1, -1, -1).flatten(0, 1)
        change = (pictures[:, 1:].flatten(0, 1) - reference) / self.renderer.spread
        noise = rng.standard_normal(change.shape, np.float32)
        times = rng.random(len(change), np.float32)
        random = (torch.from_numpy(values).to(device) for values in (noise, times))
        return reference, mesh, change, *random

    def _read_movement(self, row: int) -> np.ndarray:
        """Face-unit weights (T, u) of a clip."""
        sound = self.data.sounds([row])[0]
        return self.renderer.mesh.movement(sound, len(sound) // SAMPLES_PER_FRAME)


def spread_of(data: PairedClips, renderer: Renderer) -> float:
    """Root mean square of how frames differ from the first one of their clip, 1e-3 at least."""
    powers = []
    for row in spread_rows(len(data), SPREAD_CLIPS):
        pictures = squares(renderer, data.crops([row]), "cpu")
        powers.append(float(((pictures[:, 1:] - pictures[:, :1]) ** 2).mean()))
    return max(float(np.mean(powers)) ** 0.5, 1e-3)


def squares(renderer: Renderer, crops: np.ndarray, device: str | torch.device) -> torch.Tensor:
    """The mouth's squares (B, T, 1, size, size) of crops (B, T, 96, 96) uint8."""
    flat = renderer.square(crops.reshape(-1, *crops.shape[2:], 1), device)
    return flat.unflatten(0, crops.shape[:2])
