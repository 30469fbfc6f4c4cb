"""Both stages together: a crop and a sound make crops; and the weights that do it, in a file.

The network does not draw a face but how it differs from the reference crop, and only in a square
around the mouth: what does not speak stays as it is in the picture, and cannot flicker. All frames
of a clip start from the same noise, so that they differ by their meshes alone; AniPortrait has
motion modules for that, which need long clips and a large training. Its guidance without a
classifier (Ho and Salimans, arXiv 2207.12598, equation 6) is kept: steps of the training hide some
meshes, and the change that the mesh makes can then be enlarged. At scale miniature, 2, 2.5 and 3
times gave 24.39, 24.33 and 24.19 dB on 30 held-out clips (the first frame repeated: 23.90), and
variances of the mouth over time (means of 5 of them) of 74, 116 and 167, where real clips had 237.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from visemix.config import generators as sections
from visemix.faces.alignment import CROP_SIZE
from visemix.generators.aniportrait_small.diffusion import sample
from visemix.generators.aniportrait_small.mesh import MouthMesh
from visemix.generators.aniportrait_small.unet import UNet
from visemix.generators.base import FRAMES_AT_ONCE
from visemix.generators.sound_to_visemes import Codebook
from visemix.media import SAMPLES_PER_FRAME
from visemix.training import outputs

WEIGHTS = "weights.safetensors"
SQUARE, LOWER = 0.8, 0.1  # its side, and how far it lies below the mouth, in distances eye to mouth
FEATHER = 6  # crop px over which the edge of the square fades
CODEBOOK = ("hidden", "output", "log_prior", "log_transition")


@dataclass(frozen=True)
class Renderer:
    """A network and all that belongs to it."""

    network: UNet
    mesh: MouthMesh
    spread: float  # of a change, in the unit of pictures: what the network sees has spread 1
    alignment: str = "retinaface"  # of the crops that it learnt from, see faces.crops.crop_clip

    def make(
        self, first: np.ndarray, sounds: np.ndarray, seeds: int | Sequence[int] = 0
    ) -> np.ndarray:
        """Crops (B, T, 96, 96) uint8 from crops (B, 96, 96) uint8 and sounds (B, T * 640) int16.

        Each clip as if it were alone, from a seed for all or one each; FRAMES_AT_ONCE frames are
        drawn together. The mesh's part in a change is enlarged `guidance` times (see the settings).
        """
        frames, of_each = sounds.shape[1] // SAMPLES_PER_FRAME, np.broadcast_to(seeds, len(first))
        seen = [self._seen(*one, frames) for one in zip(first, sounds, of_each, strict=True)]
        noise, reference, mesh = (
            torch.cat(clips).split(FRAMES_AT_ONCE) for clips in zip(*seen, strict=True)
        )
        with torch.inference_mode():
            parts = [self._changes(*part) for part in zip(noise, reference, mesh, strict=True)]
            changes = torch.cat(parts).split(frames)
            made = [self._add(*one) for one in zip(first, changes, strict=True)]
            return torch.stack(made).cpu().numpy()

    def _seen(
        self, crop: np.ndarray, sound: np.ndarray, seed: int, frames: int
    ) -> tuple[torch.Tensor, ...]:
        """Noise, reference and mesh (T, C, size, size) of a clip, as the network sees them."""
        device = next(self.network.parameters()).device
        side, drawn = self.network.config.size, torch.Generator().manual_seed(int(seed))
        noise = torch.randn((1, 1, side, side), generator=drawn)
        reference = self.square(crop[None, ..., None], device)
        mesh = self.square(self.mesh.draw(self.mesh.movement(sound, frames)), device)
        return *(x.to(device).expand(frames, -1, -1, -1) for x in (noise, reference)), mesh

    def _changes(
        self, noise: torch.Tensor, reference: torch.Tensor, mesh: torch.Tensor
    ) -> torch.Tensor:
        """How the squares of frames differ from their references (N, 1, size, size)."""
        network = self.network.eval()
        settings = network.config

        def predict(noisy, times):
            blind = network(noisy, times, reference, torch.zeros_like(mesh))
            return blind + settings.guidance * (network(noisy, times, reference, mesh) - blind)

        return sample(predict, noise, settings.sampling_steps) * self.spread

    def square(self, pictures: np.ndarray, device: str | torch.device = "cpu") -> torch.Tensor:
        """The mouth's square (N, C, size, size) in [-1, 1] of pictures (N, 96, 96, C) uint8."""
        top, left, side = mouth_square(self.mesh.eye_to_mouth)
        part = torch.from_numpy(pictures[:, top : top + side, left : left + side])
        part = part.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        return _resize(part, self.network.config.size)

    def _add(self, crop: np.ndarray, change: torch.Tensor) -> torch.Tensor:
        """The crop (96, 96) uint8 with changes (T, 1, size, size) of its square, uint8."""
        top, left, side = mouth_square(self.mesh.eye_to_mouth)
        edge = torch.arange(side, device=change.device) + 0.5
        fade = (torch.minimum(edge, side - edge) / FEATHER).clamp(max=1)
        change = _resize(change, side)[:, 0] * torch.minimum(fade[:, None], fade)
        frames = torch.from_numpy(crop).to(change.device).float().repeat(len(change), 1, 1)
        frames[:, top : top + side, left : left + side] += 127.5 * change
        return frames.round().clamp(0, 255).byte()


def mouth_square(eye_to_mouth: float) -> tuple[int, int, int]:
    """Top, left and side in px of the square around the mouth, within crops with this distance."""
    side = min(round(SQUARE * eye_to_mouth), CROP_SIZE)
    left = (CROP_SIZE - side) // 2
    return min(left + round(LOWER * eye_to_mouth), CROP_SIZE - side), left, side


def _resize(pictures: torch.Tensor, side: int) -> torch.Tensor:
    return F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)


def write_weights(path: Path, renderer: Renderer) -> None:
    """Write network and codebook as safetensors, with what `load_weights` must know beside them."""
    codebook, network = renderer.mesh.codebook, renderer.network
    facts = {
        "settings": outputs.decisive(network.config.model_dump()),
        "visemes": codebook.visemes,
        "eye_to_mouth": renderer.mesh.eye_to_mouth,
        "alignment": renderer.alignment,
        "spread": renderer.spread,
    }
    values = {f"network.{name}": value for name, value in network.state_dict().items()}
    values |= {f"codebook.{n}": torch.from_numpy(getattr(codebook, n)) for n in CODEBOOK}
    outputs.write_weights(path, values, facts)


def load_weights(folder: str | Path, device: str = "cpu") -> Renderer:
    """The trained generator of a folder; errors as training.outputs.read_weights."""
    values, facts = outputs.read_tensors(path := Path(folder) / WEIGHTS)
    try:
        network = UNet(sections.Aniportrait.model_validate(facts["settings"]))
        codebook = {name: values.pop(f"codebook.{name}").numpy() for name in CODEBOOK}
        network.load_state_dict({n.removeprefix("network."): v for n, v in values.items()})
    except (KeyError, RuntimeError) as error:
        raise outputs.unfit(path, error) from error
    mesh = MouthMesh(Codebook(tuple(facts["visemes"]), **codebook), facts["eye_to_mouth"])
    network = network.to(device).eval().requires_grad_(False)
    return Renderer(network, mesh, facts["spread"], facts["alignment"])
