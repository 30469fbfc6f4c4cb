"""What a generator is worth on clips of speakers that it has not seen."""

from collections.abc import Sequence

import numpy as np
import torch

from visemix.generators.base import FRAMES_AT_ONCE, mouth_motion
from visemix.generators.measures import MAX_LAG, movement_correlation, psnr, ssim
from visemix.generators.paired_clips import spread_rows
from visemix.generators.speech_windows import mel_spectrogram, windows
from visemix.generators.wav2lip.batches import frame_starts, masked, to_crops, to_pictures
from visemix.generators.wav2lip.model import Generator
from visemix.generators.wav2lip.syncnet import SyncNet, sync_confidence

MEASURED_CLIPS = 60  # at most; evenly spread over the held-out clips


def speak(generator: Generator, still: np.ndarray, sound: np.ndarray, n_frames: int) -> np.ndarray:
    """Crops (n_frames, 96, 96) uint8 of one still (96, 96) uint8 speaking sound (N,) at 16 kHz.

    See speak_all.
    """
    return speak_all(generator, still, [sound], n_frames)[0]


@torch.inference_mode()
def speak_all(
    generator: Generator, still: np.ndarray, sounds: Sequence[np.ndarray], n_frames: int
) -> np.ndarray:
    """Crops (B, n_frames, 96, 96) uint8 of one still (96, 96) uint8 speaking B sounds at 16 kHz.

    The still is both the masked crop and the reference. Every frame is drawn: where the sound ends
    before a frame's 200 ms do, silence follows (the published script drops those frames).
    """
    generator.eval()
    config, device = generator.config, next(generator.parameters()).device
    picture = to_pictures(still[None], config, device)  # (1, S, S)
    face = torch.stack([masked(picture, config), picture], 1)  # (1, 2, S, S)
    starts = frame_starts(0, n_frames)
    mels = np.concatenate([windows(mel_spectrogram(sound), starts) for sound in sounds])
    drawn = [
        generator(part[:, None].to(device), face.expand(len(part), -1, -1, -1))[:, 0]
        for part in torch.from_numpy(mels).split(FRAMES_AT_ONCE)
    ]
    crops = to_crops(torch.cat(drawn), still, config)
    return crops.reshape(len(sounds), n_frames, *still.shape)


def measure(generator: Generator, expert: SyncNet, held_out) -> dict[str, float]:
    """How well stills of held-out speakers repeat their own clips.

    The clip's first frame speaks its sound. psnr (dB) and ssim are means over clips of what
    torchmetrics says of the lower half of all frames but the first; still_psnr and still_ssim are
    those of the first frame itself, repeated: a generator below them had better not move.
    sync_confidence and in_sync (proportion of clips whose offset is at most one frame) are by the
    expert, which also stands in the generator's loss, motion is the mouth's variance over time (see
    checks.mouth_motion); those of the true clips have the prefix real_. movement is the correlation
    of the mouth's movement with that of the true clip (see movement_correlation),
    movement_other_sound the same where the still speaks another clip's sound. clips: how many were
    measured.
    """
    chosen = spread_rows(len(held_out), MEASURED_CLIPS)
    others = np.roll(chosen, len(chosen) // 2)  # neighbours say the same word
    rows = [
        _measure_clip(generator, expert, held_out, *r) for r in zip(chosen, others, strict=True)
    ]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return {"clips": len(chosen), **means}


def _measure_clip(
    generator: Generator, expert: SyncNet, held_out, row: int, other: int
) -> dict[str, float]:
    crops, sound = held_out.crops([row])[0], held_out.sounds([row])[0]
    made = speak(generator, crops[0], sound, len(crops))
    wrong = speak(generator, crops[0], held_out.sounds([other])[0], len(crops))
    values = likeness(made[1:], crops[1:])
    still = likeness(np.broadcast_to(crops[:1], crops[1:].shape), crops[1:])
    values |= {f"still_{name}": value for name, value in still.items()}
    for prefix, shown in (("", made), ("real_", crops)):
        offset, confidence = sync_confidence(expert, shown, sound)
        values[f"{prefix}sync_confidence"] = confidence
        values[f"{prefix}in_sync"] = abs(offset) <= 1
        values[f"{prefix}motion"] = mouth_motion(shown)
    values["movement"] = movement_correlation(crops, made)[MAX_LAG]
    values["movement_other_sound"] = movement_correlation(crops, wrong)[MAX_LAG]
    return values


def likeness(made: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """PSNR (dB) and SSIM of the lower half of crops (T, 96, 96) uint8."""
    lower = np.s_[:, made.shape[1] // 2 :]
    return {"psnr": psnr(made[lower], true[lower]), "ssim": ssim(made[lower], true[lower])}
