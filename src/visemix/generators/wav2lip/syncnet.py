"""The expert that decides whether lips and sound belong together, and the measure made of it.

Wav2Lip's expert (Prajwal et al., ACM MM 2020, section 3.2) is a SyncNet (Chung & Zisserman, "Out
of time", ACCV-W 2016) with residual layers, trained with a binary cross-entropy on the cosine of
the two codes. It is trained before the generator, on real clips alone, and then left as it is.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from visemix.config import generators as sections
from visemix.generators import trained
from visemix.generators.speech_windows import mel_spectrogram, windows
from visemix.generators.wav2lip.batches import ExpertBatch, T, to_pictures
from visemix.generators.wav2lip.layers import ConvBlock, expert_audio_encoder, residuals

WEIGHTS = "expert.safetensors"
MAX_OFFSET = 15  # frames, as in Chung & Zisserman
MIN_WINDOWS = 10  # that a distance at the largest offset is the mean of
FACE_RESIDUALS = (2, 3, 2, 2, 0)  # by level


class SyncNet(nn.Module):
    """Codes of five frames and of 200 ms of sound: their cosine is near 1 if they are in sync.

    `expert_width` 32 and `size` 96 are the published ones (for three colours; ours are grey);
    smaller pictures leave out the deepest halvings.
    """

    def __init__(self, config: sections.Wav2Lip):
        super().__init__()
        self.config = config
        width, out = config.expert_width, 16 * config.expert_width
        halvings = (config.size // 6).bit_length() - 1  # of the band's height, down to 3
        inside = 2 * width
        layers = [ConvBlock(T, width, 7, padding=3)]  # 48 x 96
        layers += [ConvBlock(width, inside, 5, (1, 2), 1), *residuals(inside, FACE_RESIDUALS[0])]
        for level in range(1, halvings + 1):  # 46 x 47 -> 23 x 24, 12 x 12, 6 x 6, 3 x 3
            outside = min(2 * inside, out)
            layers += [ConvBlock(inside, outside, stride=2)]
            layers += residuals(outside, FACE_RESIDUALS[level])
            inside = outside
        layers += [ConvBlock(inside, out, padding=0), ConvBlock(out, out, 1, padding=0)]
        self.face_encoder = nn.Sequential(*layers)
        self.audio_encoder = expert_audio_encoder(config)
        # A quarter less time on CPU.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def forward(self, mels: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """mels (n, 1, 80, 16), faces (n, 5, S/2, S) in [0, 1] -> cosines (n,) in [0, 1]."""
        return (self.encode_sound(mels) * self.encode_faces(faces)).sum(1)

    def compare(self, batch: ExpertBatch) -> torch.Tensor:
        """Cosines (n, m, m) of all windows of frames with all windows of sound of the same clip."""
        faces = self.encode_faces(batch.faces.flatten(0, 1)).unflatten(0, batch.faces.shape[:2])
        sounds = self.encode_sound(batch.mels.flatten(0, 1)).unflatten(0, batch.mels.shape[:2])
        return faces @ sounds.transpose(1, 2)

    def encode_sound(self, mels: torch.Tensor) -> torch.Tensor:
        """Unit codes (n, 16 * expert_width) of mel windows; none is negative."""
        return F.normalize(self.audio_encoder(mels).flatten(1))

    def encode_faces(self, faces: torch.Tensor) -> torch.Tensor:
        """Unit codes (n, 16 * expert_width) of five frames each; none is negative."""
        if self.config.expert_subtract_mean_frame:
            faces = faces - faces.mean(1, keepdim=True)
        return F.normalize(self.face_encoder(faces).flatten(1))


def expert_loss(cosines: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of cosines (n, m, m) of m windows of frames with m of sound of each of n clips.

    As published, a window's own sound stands against others of the same clip, both with half of the
    weight. There one other is drawn, here all m - 1 divide its weight: more is learnt from a clip.
    """
    own, other = _own_and_other(cosines)
    return (sync_loss(own, torch.ones_like(own)) + sync_loss(other, torch.zeros_like(other))) / 2


def _own_and_other(cosines: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    own = torch.eye(cosines.shape[-1], dtype=torch.bool, device=cosines.device)
    return cosines[:, own], cosines[:, ~own]


def sync_loss(cosines: torch.Tensor, in_sync: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of cosines (n,) in [0, 1] against 1 (in sync) or 0.

    Raises FloatingPointError for cosines that are not finite.
    """
    if not torch.isfinite(cosines).all():  # torch's loss would stop the process on a GPU
        raise FloatingPointError("the expert's cosines are not finite; lower the learning rate")
    return F.binary_cross_entropy(cosines.clamp(0, 1), in_sync)


def load_syncnet(folder: str | Path, device: str | torch.device = "cpu") -> SyncNet:
    """The trained expert, frozen; errors as training.outputs.read_weights."""
    model, _ = trained.read_weights(Path(folder) / WEIGHTS, SyncNet, sections.Wav2Lip, device)
    return model.requires_grad_(False)


def sync_confidence(model: SyncNet, crops: np.ndarray, sound: np.ndarray) -> tuple[int, float]:
    """Offset in frames, and confidence in it, of crops (T, 96, 96) uint8 and sound (N,) at 16 kHz.

    The offset is that of the smallest distance: positive where the sound comes late, by as many
    frames as it has to be moved forward. The confidence is the median distance less the smallest
    (Chung & Zisserman 2016, section 4.1); distances are Euclidean and between 0 and sqrt(2). For
    errors see sync_distances.
    """
    offsets, distances = sync_distances(model, crops, sound)
    best = int(distances.argmin())
    return int(offsets[best]), float(np.median(distances) - distances[best])


@torch.inference_mode()
def sync_distances(
    model: SyncNet, crops: np.ndarray, sound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Offsets in frames (K,), -15 to 15 or what fits, and the mean distance (K,) at each.

    A mean is taken over the windows of five frames that have a window of sound at that offset, and
    of those there are at least 10: nothing is padded with silence, which would favour some offsets
    on short clips. 29 frames allow all offsets. Raises ValueError for fewer than 15 frames, and for
    crops or sounds of other kinds.
    """
    crops = np.asarray(crops)
    if crops.dtype != np.uint8 or crops.ndim != 3:
        raise ValueError(f"crops are {crops.dtype} {crops.shape}, not uint8 (T, 96, 96)")
    count = len(crops) - T + 1
    if count <= MIN_WINDOWS:
        raise ValueError(
            f"{len(crops)} frames are too few to find an offset; give at least {MIN_WINDOWS + T}"
        )
    device = next(model.parameters()).device
    pictures = to_pictures(crops, model.config, device)[:, model.config.band]
    faces = pictures.unfold(0, T, 1).permute(0, 3, 1, 2)  # (count, 5, S/2, S)
    mels = torch.from_numpy(windows(mel_spectrogram(sound), np.arange(count)))[:, None].to(device)
    cosines = (model.encode_faces(faces) @ model.encode_sound(mels).T).double().cpu().numpy()
    between = np.sqrt((2 - 2 * cosines).clip(0))  # [picture, sound]
    reach = min(MAX_OFFSET, count - MIN_WINDOWS)
    offsets = np.arange(-reach, reach + 1)
    return offsets, np.array([np.diagonal(between, offset).mean() for offset in offsets])
