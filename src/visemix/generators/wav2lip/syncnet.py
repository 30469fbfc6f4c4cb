"""The expert that hears whether lips and sound belong together, and the measure made of it.

Wav2Lip's expert (Prajwal et al., ACM MM 2020, section 3.2) is a SyncNet (Chung & Zisserman, "Out
of time", ACCV-W 2016) with residual layers, trained with a binary cross-entropy on the cosine of
the two codes. It is trained before the generator, on real clips alone, and then left as it is.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from visemix.generators.speech_windows import mel_spectrogram, windows
from visemix.generators.wav2lip import resumable
from visemix.generators.wav2lip.batches import expert_batch, rows_of, spectra_of, to_pictures
from visemix.generators.wav2lip.config import T, Wav2LipConfig
from visemix.generators.wav2lip.layers import ConvBlock, audio_encoder, residuals
from visemix.run.atomic import sha256_file, write_json
from visemix.training import checkpoints

WEIGHTS, HISTORY, SUMMARY = "expert.safetensors", "expert.csv", "expert.json"
MAX_OFFSET = 15  # frames, as in Chung & Zisserman
MIN_WINDOWS = 10  # that a distance at the largest offset is the mean of
FACE_RESIDUALS = (2, 3, 2, 2, 0)  # by level
_TRAINING, _VALIDATION = 1, 2  # streams of random numbers


class SyncNet(nn.Module):
    """Codes of five frames and of 200 ms of sound: their cosine is near 1 if they are in sync.

    `expert_width` 32 and `size` 96 are the published ones (for three colours; ours are grey);
    smaller pictures leave out the deepest halvings.
    """

    def __init__(self, config: Wav2LipConfig):
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
        self.audio_encoder = audio_encoder(width, out, last=2)

    def forward(self, mels: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """mels (n, 1, 80, 16), faces (n, 5, S/2, S) in [0, 1] -> cosines (n,) in [0, 1]."""
        return (self.hear(mels) * self.see(faces)).sum(1)

    def hear(self, mels: torch.Tensor) -> torch.Tensor:
        """Unit codes (n, 16 * expert_width) of mel windows; none is negative."""
        return F.normalize(self.audio_encoder(mels).flatten(1))

    def see(self, faces: torch.Tensor) -> torch.Tensor:
        """Unit codes (n, 16 * expert_width) of five frames each; none is negative."""
        return F.normalize(self.face_encoder(faces).flatten(1))


def sync_loss(cosines: torch.Tensor, in_sync: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy of cosines (n,) in [0, 1] against 1 (in sync) or 0."""
    return F.binary_cross_entropy(cosines.clamp(0, 1), in_sync)


def train_syncnet(
    data, held_out, settings: dict, folder: str | Path, seed: int, device: str = "cpu"
) -> dict:
    """Train the expert on PairedClips; write expert.safetensors, .csv and last .json to `folder`.

    The weights of the lowest loss on held_out are kept. An expert of the same data, settings, seed
    and code that is there already is kept too. settings: fields of Wav2LipConfig. Raises as
    `resumable.run_steps`. Returns what expert.json holds: identity, settings, digests, seconds,
    and loss and accuracy on held_out (a cosine above 0.5 says: in sync) at the best step.
    """
    began, folder, device = time.monotonic(), Path(folder), torch.device(device)
    config = Wav2LipConfig(**settings)
    resumable.prepare_torch(config, device)
    digests = {"training": data.digests, "held_out": held_out.digests}
    identity = resumable.identity_of("expert", config, seed, device, digests)
    if (folder / SUMMARY).is_file():
        found = json.loads((folder / SUMMARY).read_text())
        if found["identity"] == identity:
            return found
    spectra, held_out_spectra = spectra_of(data), spectra_of(held_out)
    torch.manual_seed(seed)
    model = SyncNet(config).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.expert_learning_rate)

    def step(number: int, notes: dict) -> dict[str, torch.Tensor]:
        rows, rng = rows_of(seed, number, _TRAINING, len(data), config.expert_batch_size)
        batch = expert_batch(data, spectra, rows, rng, config, device)
        model.train()
        loss = sync_loss(model(batch.mels, batch.faces), batch.in_sync)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"loss": loss}

    def validate(number: int, notes: dict) -> dict[str, float]:
        row = _validate(model, held_out, held_out_spectra, seed, device)
        if "best" not in notes or row["validation_loss"] < notes["best"]["validation_loss"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            notes["best"] = {"step": number, **row, "model": weights}
        return row

    resume = folder / "expert.resume"
    parts = {"model": model, "optimiser": optimiser}
    state = resumable.run_steps(
        parts, step, validate, config.expert_steps, resume, identity, config, device
    )
    best = state["notes"]["best"]
    model.load_state_dict(best.pop("model"))
    resumable.write_weights(folder / WEIGHTS, model, config, identity)
    resumable.write_history(folder / HISTORY, state["history"])
    summary = {
        "version": 1,
        "identity": identity,
        "seed": seed,
        "settings": asdict(config),
        "digests": {**digests, "weights": sha256_file(folder / WEIGHTS)},
        "best": best,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "resumed_at_step": state["resumed_at_step"],
        "seconds": round(time.monotonic() - began, 3),
    }
    write_json(folder / SUMMARY, summary)
    checkpoints.remove_checkpoint(resume)
    return summary


def load_syncnet(folder: str | Path, device: str = "cpu") -> SyncNet:
    """The trained expert in evaluation mode. Raises FileNotFoundError before it was trained."""
    return resumable.read_weights(Path(folder) / WEIGHTS, SyncNet, device)[0]


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
    cosines = (model.see(faces) @ model.hear(mels).T).double().cpu().numpy()
    between = np.sqrt((2 - 2 * cosines).clip(0))  # [picture, sound]
    reach = min(MAX_OFFSET, count - MIN_WINDOWS)
    offsets = np.arange(-reach, reach + 1)
    return offsets, np.array([np.diagonal(between, offset).mean() for offset in offsets])


@torch.inference_mode()
def _validate(
    model: SyncNet, held_out, spectra, seed: int, device: torch.device
) -> dict[str, float]:
    """Loss and accuracy over one window of each held-out clip, half of them out of sync."""
    model.eval()
    size, loss, right = model.config.expert_batch_size, 0.0, 0
    for number, start in enumerate(range(0, len(held_out), size)):
        rows = np.arange(start, min(start + size, len(held_out)))
        rng = np.random.default_rng([seed, _VALIDATION, number])
        batch = expert_batch(held_out, spectra, rows, rng, model.config, device)
        cosines = model(batch.mels, batch.faces)
        loss += float(sync_loss(cosines, batch.in_sync)) * len(rows)
        right += int(((cosines > 0.5) == (batch.in_sync > 0.5)).sum())
    return {"validation_loss": loss / len(held_out), "validation_accuracy": right / len(held_out)}
