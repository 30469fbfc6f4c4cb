"""Paired clips with a rule that a generator can learn: the louder the sound, the wider the mouth.

Every clip has a speaker of its own: another grey of the skin, another place of a spot above it.
"""

import hashlib

import numpy as np

FRAMES = 20


class ToyTalkers:
    """What generators.paired_clips.PairedClips offers, made in memory."""

    eye_to_mouth, alignment = 64.0, "retinaface"

    def __init__(self, clips: int, seed: int = 0, frames: int = FRAMES):
        rng = np.random.default_rng([seed, clips])
        self.opening = _openings(rng, clips, frames)
        self.skin = rng.integers(110, 230, clips)
        self.spot = rng.integers(8, 80, clips)
        noise = rng.normal(0, 1, (clips, frames * 640))
        level = np.repeat(0.02 + self.opening, 640, axis=1)
        self._sounds = (noise * level * 5000).clip(-32767, 32767).astype(np.int16)
        self._crops = np.stack([self._clip(row) for row in range(clips)])
        self.clip_ids = [f"toy/{row:04d}" for row in range(clips)]
        self.labels, self.speakers = ["TOY"] * clips, [f"speaker-{row}" for row in range(clips)]
        content = hashlib.sha256(self._crops.tobytes() + self._sounds.tobytes())
        self.digests = {"toy": content.hexdigest()}

    def __len__(self) -> int:
        return len(self._crops)

    def crops(self, rows) -> np.ndarray:
        return self._crops[np.asarray(rows)]

    def sounds(self, rows) -> np.ndarray:
        return self._sounds[np.asarray(rows)]

    def _clip(self, row: int) -> np.ndarray:
        y, x = np.mgrid[:96, :96] + 0.5
        crops = np.full((self.opening.shape[1], 96, 96), self.skin[row], np.float64)
        crops[:, 8:20, self.spot[row] : self.spot[row] + 8] = 20
        for crop, opening in zip(crops, self.opening[row], strict=True):
            mouth = ((x - 48) / 24) ** 2 + ((y - 56) / (3 + 22 * opening)) ** 2 < 1
            crop[mouth] = 40
        return crops.astype(np.uint8)


def _openings(rng: np.random.Generator, clips: int, frames: int) -> np.ndarray:
    """How far each mouth is open, 0..1: syllables of random length and width."""
    openings = np.zeros((clips, frames))
    for track in openings:
        frame = int(rng.integers(0, 3))
        while frame < frames:
            length = int(rng.integers(2, 5))
            track[frame : frame + length] = rng.uniform(0.4, 1)
            frame += length + int(rng.integers(1, 5))
    return openings
