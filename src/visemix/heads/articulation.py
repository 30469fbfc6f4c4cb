"""Phonemes with times -> face-unit weights per video frame.

Each phoneme belongs to a viseme with targets for a few articulators. Every segment pulls each
articulator towards its target with a dominance function that falls off exponentially in time on
both sides, so that neighbours overlap: the coarticulation model of M. M. Cohen and D. W. Massaro,
"Modeling coarticulation in synthetic visual speech", Models and Techniques in Computer Animation,
Springer 1993, pp. 139-156. A style with `sharp` set gives nearly piecewise-constant mouths, which
is what a generator without coarticulation shows.

Phonemes are espeak-ng's mnemonics. A phoneme record is anything with `start`, `end` (seconds) and
`text`; a segment is a tuple (start, end, viseme).
"""

from dataclasses import dataclass, field

import numpy as np

# articulator -> face units and gains; "close" takes back the opening of the jaw at the lips
ARTICULATORS: dict[str, dict[str, float]] = {
    "jaw": {"jawOpen": 0.85},
    "close": {},
    "press": {"mouthPressLeft": 0.6, "mouthPressRight": 0.6},
    "roll_upper": {"mouthRollUpper": 1.0},
    "roll_lower": {"mouthRollLower": 1.0},
    "upper_up": {"mouthUpperUpLeft": 1.0, "mouthUpperUpRight": 1.0},
    "lower_down": {"mouthLowerDownLeft": 1.0, "mouthLowerDownRight": 1.0},
    "stretch": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
    "smile": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "funnel": {"mouthFunnel": 1.0},
    "pucker": {"mouthPucker": 1.0},
    "tongue": {"tongueOut": 0.8},
}
ARTICULATOR_NAMES = list(ARTICULATORS)
# viseme -> (espeak-ng phonemes, targets); values were set by eye on rendered sentences
VISEMES: dict[str, tuple[str, dict[str, float]]] = {
    "sil": ("_", {}),
    "PP": ("p b m m-", dict(jaw=0.10, close=1.0, press=0.5, roll_upper=0.25, roll_lower=0.25)),
    "FF": ("f v", dict(jaw=0.10, close=0.3, roll_lower=0.9, upper_up=0.55)),
    "TH": ("T D", dict(jaw=0.22, tongue=0.6, lower_down=0.3, upper_up=0.15)),
    "DD": ("t d n t# n- l L l#", dict(jaw=0.20, lower_down=0.3, upper_up=0.1, tongue=0.12)),
    "SS": ("s z", dict(jaw=0.07, stretch=0.4, lower_down=0.4, upper_up=0.25)),
    "CH": ("S Z tS dZ", dict(jaw=0.14, funnel=0.8, pucker=0.25, lower_down=0.3, upper_up=0.25)),
    "kk": ("k g N h x ?", dict(jaw=0.24)),
    "RR": ("r R r- *", dict(jaw=0.15, funnel=0.35, pucker=0.4)),
    "WW": ("w", dict(jaw=0.08, pucker=1.0, funnel=0.15)),
    "YY": ("j", dict(jaw=0.10, stretch=0.35)),
    "aa": ("A: A 0 0# A@ a:", dict(jaw=0.85)),
    "ae": ("a a2 aa", dict(jaw=0.70, stretch=0.35, lower_down=0.3)),
    "ah": ("V @ @2 @5 a# 3 @- 8", dict(jaw=0.42)),
    "eh": ("E e e@ E2", dict(jaw=0.50, stretch=0.35, lower_down=0.15)),
    "ee": ("i: i I2 i@ i2", dict(jaw=0.16, stretch=0.65, smile=0.2, lower_down=0.25, upper_up=0.1)),
    "ih": ("I I#", dict(jaw=0.25, stretch=0.4, lower_down=0.1)),
    "ao": ("O: O O@ O2", dict(jaw=0.55, funnel=0.65, pucker=0.15)),
    "uw": ("u: u u2 U@", dict(jaw=0.12, pucker=0.85, funnel=0.4)),
    "uh": ("U", dict(jaw=0.22, pucker=0.5, funnel=0.3)),
    "er": ("3: @r", dict(jaw=0.25, funnel=0.4, pucker=0.2)),
    "oh": ("o oU@", dict(jaw=0.40, funnel=0.5, pucker=0.3)),
}
DIPHTHONGS = {
    "aI": "a I", "aU": "a U", "eI": "E i:", "oU": "O: u:", "OI": "O: i:", "aI@": "a i:",
    "aU@": "a U", "@U": "V u:", "@L": "@ l",
}  # fmt: skip
# dominance (Cohen and Massaro's alpha) of a viseme over its neighbours; "*": all other articulators
DOMINANCE: dict[str, dict[str, float]] = {
    "PP": {"*": 6, "jaw": 2.2, "close": 9, "press": 9, "stretch": 2, "smile": 1, "funnel": 2.5,
           "pucker": 2.5, "tongue": 2},
    "FF": {"*": 6, "jaw": 2, "close": 5, "roll_lower": 8, "stretch": 2, "smile": 1, "funnel": 1.5,
           "pucker": 1.5, "tongue": 2},
    "CH": {"*": 2, "funnel": 3, "pucker": 3, "smile": 1},
    "WW": {"*": 2, "funnel": 3, "pucker": 3, "smile": 1},
    "uw": {"*": 2, "funnel": 3, "pucker": 3, "smile": 1},
    "DD": {"*": 0.6, "jaw": 0.9, "funnel": 0.35, "pucker": 0.35, "tongue": 2},
    "SS": {"*": 0.7, "jaw": 0.9, "funnel": 0.35, "pucker": 0.35},
    "kk": {"*": 0.5, "jaw": 0.9, "funnel": 0.35, "pucker": 0.35},
    "RR": {"*": 0.7},
    "ah": {"*": 0.6, "jaw": 0.9},
    "sil": {"*": 0.25},
}  # fmt: skip
# how much faster than theta an articulator lets go: lips part faster than the jaw drops
RELEASE = {"close": 2.0, "press": 2.0, "roll_upper": 1.7, "roll_lower": 1.7, "tongue": 1.5}
HOLD = 0.3  # proportion of a segment's length on both sides of its middle where dominance is full

_VISEME_OF = {p: viseme for viseme, (phonemes, _) in VISEMES.items() for p in phonemes.split()}
_TARGET = {
    viseme: np.array([targets.get(a, 0.0) for a in ARTICULATOR_NAMES])
    for viseme, (_, targets) in VISEMES.items()
}
_ALPHA = {
    viseme: np.array([alpha.get(a, alpha.get("*", 1.0)) for a in ARTICULATOR_NAMES])
    for viseme in VISEMES
    for alpha in [DOMINANCE.get(viseme, {})]
}
_RELEASE = np.array([RELEASE.get(a, 1.0) for a in ARTICULATOR_NAMES])


@dataclass(frozen=True)
class Style:
    """How one speaker articulates."""

    theta: float = 20.0  # fall-off of dominance, 1/s (Cohen and Massaro's theta)
    sharp: bool = False  # True: no coarticulation
    gain: dict[str, float] = field(default_factory=dict)  # per articulator, 1 where absent


def random_style(rng: np.random.Generator) -> Style:
    """Draw a speaker's way of articulating."""
    lips = rng.uniform(0.8, 1.2)
    return Style(
        theta=rng.uniform(16, 26),
        gain=dict(
            jaw=rng.uniform(0.75, 1.25),
            funnel=lips,
            pucker=lips,
            stretch=lips * rng.uniform(0.6, 1.1),
            upper_up=rng.uniform(0.6, 1.2),
            lower_down=rng.uniform(0.6, 1.2),
            smile=rng.uniform(0, 1),
        ),
    )


def visemes_of(phoneme: str) -> list[str]:
    """Visemes (one, or two for a diphthong) of an espeak-ng mnemonic.

    Stress marks are ignored and everything that starts with '_' is a pause. An unknown vowel
    counts as 'ah', any other unknown mnemonic as 'DD'.
    """
    if phoneme.startswith("_"):  # pauses of several lengths
        return ["sil"]
    mnemonic = phoneme.strip("',%=_|;").strip() or "_"
    for name in (mnemonic, mnemonic.rstrip("0123456789#-")):
        if name in DIPHTHONGS:
            return [_VISEME_OF[part] for part in DIPHTHONGS[name].split()]
        if name in _VISEME_OF:
            return [_VISEME_OF[name]]
    return ["ah" if mnemonic[0] in "aeiouAEIOUV03@" else "DD"]


def segments(phonemes) -> list[tuple[float, float, str]]:
    """(start, end, viseme) in seconds of phoneme records; diphthongs are split in the middle."""
    found = []
    for phoneme in phonemes:
        parts = visemes_of(phoneme.text)
        edges = np.linspace(phoneme.start, phoneme.end, len(parts) + 1).tolist()
        found += list(zip(edges[:-1], edges[1:], parts, strict=True))
    return found


def curves(segs, times, style: Style) -> np.ndarray:
    """Articulator values (T, A) at `times` (T,) in seconds: dominance-weighted target means."""
    target = np.array([_TARGET[viseme] for *_, viseme in segs])
    alpha = np.array([_ALPHA[viseme] for *_, viseme in segs])
    start, end = np.array([s[:2] for s in segs]).T
    distance = np.abs(np.asarray(times)[:, None] - (start + end) / 2) - HOLD * (end - start)
    speed = style.theta * (6 if style.sharp else 1) * _RELEASE
    pull = alpha * np.exp(-np.maximum(distance, 0)[..., None] * speed) + 1e-9
    return (pull * target).sum(1) / pull.sum(1)


def unit_weights(values, unit_names: list[str], style: Style) -> np.ndarray:
    """Face-unit weights (T, E) in 0..1.1 from articulator values (T, A)."""
    weights = np.zeros((len(values), len(unit_names)))
    for column, name in enumerate(ARTICULATOR_NAMES):
        for unit, gain in ARTICULATORS[name].items():
            amount = values[:, column] * gain * style.gain.get(name, 1.0)
            weights[:, unit_names.index(unit)] += amount
    weights = weights.clip(0, 1.1)
    # lips seal at any jaw opening only if mouthClose takes back exactly what jawOpen opens
    jaw = weights[:, unit_names.index("jawOpen")]
    close = values[:, ARTICULATOR_NAMES.index("close")]
    weights[:, unit_names.index("mouthClose")] = (close * jaw).clip(0, 1)
    return weights


def frame_visemes(segs, times) -> list[str]:
    """Viseme at each of `times` (T,) in seconds; 'sil' outside all segments."""
    starts = np.array([s[0] for s in segs])
    index = np.searchsorted(starts, times, side="right") - 1
    return [
        segs[i][2] if i >= 0 and t < segs[i][1] else "sil"
        for i, t in zip(index, times, strict=True)
    ]
