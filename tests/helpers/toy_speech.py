"""Clips with sound and a rule that a network can learn: a bright mouth opens while it is loud."""

import hashlib

import numpy as np


class ToySpeech:
    """As PairedClips: `clips` clips of `frames` frames, every one of another 'speaker'."""

    def __init__(self, clips: int, frames: int = 8, seed: int = 0):
        rng = np.random.default_rng([seed, clips])
        onset = rng.integers(1, max(2, frames - 3), (clips, 1))
        loud = (np.arange(frames) >= onset) & (np.arange(frames) < onset + 3)
        self._crops = np.empty((clips, frames, 96, 96), np.uint8)
        self._crops[:] = rng.integers(60, 120, (clips, 1, 1, 1))  # the speaker's skin
        self._crops[:, :, 24:72, 24:72] = 20  # lips, which tell where the mouth is
        for clip, frame in np.argwhere(loud):
            self._crops[clip, frame, 24:72, 24:72] = 220
        noise = rng.normal(0, 6000, (clips, frames, 640)) * loud[..., None]
        self._sounds = noise.reshape(clips, -1).clip(-32768, 32767).astype(np.int16)
        self.clip_ids = [f"toy/{number:05d}" for number in range(clips)]
        self.labels, self.speakers = ["ABOUT"] * clips, self.clip_ids
        self.eye_to_mouth, self.alignment = 64.0, "retinaface"
        content = hashlib.sha256(self._crops.tobytes() + self._sounds.tobytes())
        self.digests = {"crops_manifest": content.hexdigest()}

    def __len__(self) -> int:
        return len(self._crops)

    def crops(self, rows) -> np.ndarray:
        return self._crops[np.asarray(rows)]

    def sounds(self, rows) -> np.ndarray:
        return self._sounds[np.asarray(rows)]
