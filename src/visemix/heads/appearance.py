"""What a person and a scene look like besides shape: skin, hair, light and background, drawn at
random. Colours are RGB in 0..1 of a linear-like scale; the renderer applies the display curve.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SKIN_LIGHT, SKIN_DARK = np.array([0.95, 0.74, 0.62]), np.array([0.36, 0.21, 0.14])
HAIR_COLOURS = np.array(  # black, dark brown, brown, blond, grey
    [[0.06, 0.05, 0.045], [0.16, 0.10, 0.065], [0.30, 0.19, 0.10], [0.55, 0.43, 0.27],
     [0.42, 0.41, 0.40]]
)  # fmt: skip
HAIR_PROPORTIONS = [0.40, 0.27, 0.16, 0.11, 0.06]
IRIS_COLOURS = np.array(
    [[0.22, 0.13, 0.07], [0.13, 0.08, 0.05], [0.25, 0.35, 0.45], [0.30, 0.35, 0.20]]
)


@dataclass(frozen=True)
class Look:
    """Everything about a person that is not the geometry of the head. Colours are (3,) arrays."""

    skin: np.ndarray
    lip: np.ndarray
    hair: np.ndarray
    brow: np.ndarray
    iris: np.ndarray
    teeth: np.ndarray
    shirt: np.ndarray
    lip_mix: float  # 0..1 how much the lip colour replaces the skin's
    brow_width: float  # relative to the mean brow
    stubble: float  # 0 shaven .. 1 dark
    gloss: float  # strength of highlights on the skin
    hair_volume: float  # decimetres over the scalp
    hair_length: float  # 0 short .. 1 to the shoulders
    fringe: float  # 0 high forehead .. 1 fringe
    seed: int  # of skin grain and strands


@dataclass(frozen=True)
class Light:
    """A key light, a fill light and light from all around. Directions are unit vectors (3,)."""

    key_direction: np.ndarray
    key: float
    fill_direction: np.ndarray
    fill: float
    ambient: float
    tint: np.ndarray  # (3,) RGB factors near 1

    def rows(self) -> np.ndarray:
        """The light as (5, 3) float32: key, fill and half-way direction, tint, strengths."""
        halfway = self.key_direction + np.array([0.0, 0.0, 1.0])
        halfway = halfway / np.linalg.norm(halfway)
        strengths = [self.key, self.fill, self.ambient]
        return np.array(
            [self.key_direction, self.fill_direction, halfway, self.tint, strengths], np.float32
        )


def random_look(rng: np.random.Generator, traits: dict[str, float]) -> Look:
    """Draw a look that goes with a head's `Head.trait_values`."""
    melanin = 0.8 * traits["african"] + 0.35 * traits["asian"] + 0.18 * traits["caucasian"]
    melanin = float(np.clip(melanin + rng.normal(0, 0.07), 0.04, 0.95))
    skin = SKIN_LIGHT * (1 - melanin) + SKIN_DARK * melanin
    skin = skin * rng.uniform(0.93, 1.04)
    hair = HAIR_COLOURS[rng.choice(len(HAIR_COLOURS), p=HAIR_PROPORTIONS)]
    if melanin > 0.45:
        hair = HAIR_COLOURS[0]
    brow = hair * 0.85
    if traits["age"] > 0.6 and rng.random() < 0.6:
        hair = np.full(3, 0.5) * rng.uniform(0.7, 1.25)
        brow = hair * 0.6
    male = traits["male"] > 0.5
    redness = np.array([0.90, 0.58, 0.58]) if male else np.array([0.92, 0.52, 0.54])
    return Look(
        skin=skin,
        lip=skin * redness * rng.uniform(0.9, 1.05),
        hair=hair,
        brow=brow,
        iris=IRIS_COLOURS[rng.choice(len(IRIS_COLOURS)) if melanin < 0.3 else 1],
        teeth=np.array([0.93, 0.90, 0.83]) * rng.uniform(0.88, 1.03),
        shirt=np.clip(0.12 + 0.6 * rng.random() + rng.normal(0, 0.1, 3), 0.02, 0.95),
        lip_mix=rng.uniform(0.6, 1.0),
        brow_width=rng.uniform(0.75, 1.35),
        stubble=float(male) * max(0.0, rng.uniform(-0.5, 0.8)),
        gloss=rng.uniform(0.04, 0.14),
        hair_volume=rng.uniform(0.10, 0.24),
        hair_length=0.0 if male else float(rng.choice([0, rng.uniform(0.3, 1)], p=[0.25, 0.75])),
        fringe=float(rng.choice([0, rng.uniform(0.3, 1)], p=[0.65, 0.35])),
        seed=int(rng.integers(2**31)),
    )


def random_light(rng: np.random.Generator) -> Light:
    """Draw a light from the front half, with a weaker one from the other side."""
    key = np.array([rng.normal(0, 0.6), rng.uniform(0.1, 0.9), 1.0])
    fill = np.array([-np.sign(key[0]) * 0.8, 0.1, 0.6])
    return Light(
        key_direction=key / np.linalg.norm(key),
        key=rng.uniform(0.6, 0.95),
        fill_direction=fill / np.linalg.norm(fill),
        fill=rng.uniform(0.08, 0.3),
        ambient=rng.uniform(0.34, 0.50),
        tint=1 + rng.normal(0, 0.03, 3),
    )


def random_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """An out-of-focus room (size, size, 3) float32 in 0..1."""
    small = max(8, size // 4)  # it is blurred by more than this
    base = np.clip(rng.uniform(0.2, 0.75) + rng.normal(0, 0.06, 3), 0.05, 0.95)
    clouds = rng.normal(0, 0.10, (7, 7, 1)) + rng.normal(0, 0.02, (7, 7, 3))
    room = cv2.resize(clouds.astype(np.float32), (small, small), interpolation=cv2.INTER_CUBIC)
    room += base.astype(np.float32)
    for _ in range(rng.integers(0, 4)):  # soft rectangles: shelves, windows
        x, y = rng.integers(0, small, 2)
        w, h = rng.integers(small // 8, small // 2, 2)
        room[y : y + h, x : x + w] += np.float32(rng.normal(0, 0.10))  # type: ignore[arg-type]  # numpy's own stub
    room = cv2.GaussianBlur(room, (0, 0), small / 60)
    room = cv2.resize(room, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(room, 0, 1)
