"""One clip of the embedded corpus, and one portrait: drawn, spoken, with the truth about them."""

from dataclasses import dataclass

import numpy as np

from visemix.corpora.miniature.sentences import CLIP_FRAMES, SpokenWord, speak_word
from visemix.corpora.miniature.speakers import Speaker
from visemix.heads.appearance import random_background, random_light
from visemix.heads.articulation import Style, curves, frame_visemes, segments, unit_weights
from visemix.heads.model import FIVE_POINTS
from visemix.heads.renderer import Renderer
from visemix.media import FPS

IMAGE_SIZE = 256
BLINKING = 0.45  # proportion of clips
# standard deviations in radians of a clip's mean yaw, pitch and roll, and of the slow motion
POSE_SPREAD, MOTION_SPREAD = (0.16, 0.07, 0.04), (0.035, 0.022, 0.015)


@dataclass(frozen=True)
class MadeClip:
    """A finished clip: frames (29, S, S, 3) uint8 RGB, sound (18560,) int16, truth arrays."""

    frames: np.ndarray
    sound: np.ndarray
    truth: dict[str, np.ndarray]


@dataclass(frozen=True)
class Motion:
    """How the head moves through a clip."""

    pose: np.ndarray  # (T, 3) yaw, pitch, roll in radians
    gaze: np.ndarray  # (T, 2) radians against the head
    centre: np.ndarray  # (T, 2) px
    scale: float  # px per decimetre


def smooth_walk(rng: np.random.Generator, n: int, deviation: float) -> np.ndarray:
    """Smooth random curve (n,) of roughly the given deviation."""
    kernel = np.hanning(19)
    kernel /= np.sqrt((kernel**2).sum())
    return np.convolve(rng.normal(0, deviation, n + 18), kernel, "valid")[:n]


def random_motion(rng: np.random.Generator, n: int, size: int) -> Motion:
    """Draw a framing and slow head motion for n frames of size x size px."""
    pose = np.stack(
        [
            rng.normal(0, mean) + smooth_walk(rng, n, slow)
            for mean, slow in zip(POSE_SPREAD, MOTION_SPREAD, strict=True)
        ],
        1,
    )
    gaze_x = rng.normal(0, 0.08) - 0.5 * pose[:, 0]
    gaze_y = smooth_walk(rng, n, 0.03) - 0.5 * pose[:, 1]
    drift = np.stack([smooth_walk(rng, n, 1.2), smooth_walk(rng, n, 1.2)], 1)
    centre = size / 2 + (rng.normal(0, 6, 2) + drift) * size / IMAGE_SIZE
    scale = rng.uniform(64, 82) * size / IMAGE_SIZE
    return Motion(pose, np.stack([gaze_x, gaze_y], 1), centre, scale)


def speech_weights(spoken: SpokenWord, unit_names: list[str], style: Style) -> np.ndarray:
    """Face-unit weights (29, E) that speak the clip's phonemes."""
    values = curves(segments(spoken.phonemes), frame_times(), style)
    return unit_weights(values, unit_names, style)


def frame_times() -> np.ndarray:
    """Middle of each of the 29 frames in seconds of clip time."""
    return (np.arange(CLIP_FRAMES) + 0.5) / FPS


def add_upper_face(weights, unit_names, eyelid: float, rng: np.random.Generator) -> None:
    """Blinks and brows, in place; they touch no unit of the mouth."""
    n = len(weights)
    lids = np.full(n, eyelid)
    if rng.random() < BLINKING:
        middle = rng.integers(3, n - 3)
        lids = np.maximum(lids, np.exp(-(((np.arange(n) - middle) / 1.6) ** 2)))
    for side in ("Left", "Right"):
        weights[:, unit_names.index("eyeBlink" + side)] = lids
    weights[:, unit_names.index("browInnerUp")] = np.abs(smooth_walk(rng, n, 0.12))


def make_clip(
    renderer: Renderer,
    speaker: Speaker,
    word: str,
    rng: np.random.Generator,
    size: int = IMAGE_SIZE,
    turn: tuple[float, float] = (0.0, 0.0),
) -> MadeClip:
    """Let `speaker` say `word` in a random carrier, scene and framing.

    `turn`: yaw and pitch in radians by which the head is turned further in every frame; all else
    is as without it, which is what pose augmentation is measured against.
    Raises heads.speech.SpeechError if the word cannot be spoken.
    """
    head = renderer.head
    spoken = speak_word(word, speaker.voice, rng)
    weights = speech_weights(spoken, head.unit_names, speaker.style)
    add_upper_face(weights, head.unit_names, speaker.eyelid, rng)
    motion = random_motion(rng, CLIP_FRAMES, size)
    motion.pose[:, :2] += turn
    frames, xy = _draw(renderer, speaker, weights, motion, rng, size, noise=(0.002, 0.010))
    truth = dict(
        _scene_truth(speaker, motion, xy),
        weights=weights.astype(np.float16),
        text=np.array(spoken.text),
        word_span=np.array([spoken.word_start, spoken.word_end]),
        visemes=np.array(frame_visemes(segments(spoken.phonemes), frame_times())),
        phonemes=np.array([p.text for p in spoken.phonemes]),
        phoneme_times=np.array([(p.start, p.end) for p in spoken.phonemes]),
    )
    return MadeClip(frames, spoken.sound, truth)


def make_portrait(
    renderer: Renderer, speaker: Speaker, rng: np.random.Generator, size: int = IMAGE_SIZE
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A still (S, S, 3) uint8 RGB of a silent person with the mouth closed, and its truth."""
    head = renderer.head
    weights = np.zeros((1, len(head.unit_names)))
    for side in ("Left", "Right"):
        weights[:, head.unit("eyeBlink" + side)] = speaker.eyelid
    motion = random_motion(rng, 1, size)
    motion.pose[:] = rng.normal(0, (0.05, 0.03, 0.02))  # near-frontal
    motion.gaze[:] = -0.5 * motion.pose[:, :2]
    frames, xy = _draw(renderer, speaker, weights, motion, rng, size, noise=None)
    return frames[0], _scene_truth(speaker, motion, xy)


def _draw(renderer, speaker, weights, motion, rng, size, noise: tuple[float, float] | None):
    """What Renderer.render gives, in a random scene; noise: its range, None for the least."""
    person = renderer.person(speaker.identity, speaker.look)
    light, background = random_light(rng), random_background(rng, size)
    grain = rng.uniform(*noise) if noise else 0.002
    return renderer.render(
        person, weights, motion.pose, light, background, motion.gaze, motion.scale, motion.centre,
        noise=grain, noise_seed=int(rng.integers(2**31)),
    )  # fmt: skip


def _scene_truth(speaker: Speaker, motion: Motion, xy) -> dict[str, np.ndarray]:
    """Identity, motion and the five landmarks (T, 5, 2) in px."""
    return dict(
        identity=speaker.identity,
        voice=np.array(speaker.voice.name),
        pose=motion.pose,
        gaze=motion.gaze,
        centre=motion.centre,
        scale=np.array(motion.scale),
        five_points=xy[:, FIVE_POINTS],
    )
