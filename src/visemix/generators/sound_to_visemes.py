"""Which viseme is spoken when, from sound alone: no text, no phoneme times, no label.

Nothing is learnt from a corpus. A phoneme codebook is spoken by espeak-ng itself (a fixed list of
sentences, sixteen voices, exact phoneme times): a small network maps its cepstra, with their
neighbours in time, to viseme posteriors, and a Viterbi search through viseme bigrams smooths them.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from os import PathLike
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from scipy.fft import dct

from visemix.generators.base import check_sound
from visemix.heads.articulation import frame_visemes, segments
from visemix.heads.speech import ACCENTS, Speech, Voice, say
from visemix.run.atomic import atomic_path

VERSION = 1
SAMPLE_RATE, FPS = 16000, 25
HOP, WINDOW, FFT = 160, 400, 512  # samples: cepstra every 10 ms from 25 ms
STEPS_PER_FRAME = SAMPLE_RATE // FPS // HOP  # 4 cepstra a video frame
N_BANDS, N_CEPSTRA, CONTEXT = 26, 13, 6  # context: cepstra on either side
PIECE = 116  # cepstra (1.16 s, a clip of 29 frames) normalised together in the codebook
SPEECH_RANGE_DB = 35  # cepstra this far below the loudest do not count for the mean
SILENCE_DB, SILENCE_STEPS = 45, 15  # a pause: quieter than this for 150 ms; a closure is shorter
HIDDEN, EPOCHS = 128, 12
SENTENCES_PER_VOICE = 12
ACOUSTIC_WEIGHT, PRIOR_WEIGHT = 0.5, 0.5  # of the posteriors in the Viterbi search
SENTENCES = (
    "the quick brown fox jumps over the lazy dog by the river",
    "a rare joy awaits you if you choose the right path at noon",
    "she saw thirty fish swimming near the old stone bridge",
    "my father bought a huge yellow boat for our voyage south",
    "please put the good sugar cookies back on the table",
    "both children laughed while the judge measured the garage",
    "every morning we walk through thick fog along the shore",
    "the young nurse heard a bird chirping beneath the church tower",
    "bob may have paid for the purple lamp with five coins",
    "zoe thinks that vision and pleasure are usually worth sharing",
    "how now can loud crowds allow us to go home without a sound",
    "they keep warm by wrapping themselves in woolen coats and gloves",
    "peter picked a peck of pickled peppers before breakfast",
    "give them some money for the beef and half a cup of milk",
    "few people knew what the wise woman would do with her voice",
    "an unusual cheese was chosen for the large french banquet",
    "look at the wolf pull the wood across the frozen lake",
    "we were unsure whether the weather would ever improve",
    "calm farmers park their carts in the dark barn after dark",
    "six thick thistle sticks stood beside the leather sofa",
    "you could hear the engine hum as the train moved into the tunnel",
    "government ministers promised better business support for families",
    "nine million viewers watched the political debate on television",
    "all of us ought to call the lawyer about the fallen wall",
)


@dataclass(frozen=True)
class Codebook:
    """The spoken codebook's model: C cepstral values with context, H hidden units, K visemes."""

    visemes: tuple[str, ...]
    hidden: np.ndarray  # (C + 1, H) float32, the last row is the bias
    output: np.ndarray  # (H + 1, K) float32
    log_prior: np.ndarray  # (K,) float32
    log_transition: np.ndarray  # (K, K) float32, from row to column in 10 ms


def build_codebook(path: str | PathLike | None = None, threads: int = 1) -> Codebook:
    """Speak and fit the codebook (about nine CPU-seconds); write it to `path` (npz) if given.

    The same on every call. `threads` says how many sentences are spoken side by side.
    """
    jobs = [(sentence, voice) for voice, chosen in _script() for sentence in chosen]
    with ThreadPoolExecutor(threads) as pool:
        spoken = list(pool.map(lambda job: say(*job), jobs))
    pieces = [piece for speech in spoken for piece in labelled_cepstra(speech)]
    codebook = _fit([features for features, _ in pieces], [labels for _, labels in pieces])
    if path is not None:
        save_codebook(codebook, path)
    return codebook


def save_codebook(codebook: Codebook, path: str | PathLike) -> None:
    """Write a codebook as npz, atomically."""
    arrays = {name: getattr(codebook, name) for name in _ARRAYS}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, version=VERSION, visemes=np.array(codebook.visemes), **arrays)


def load_codebook(path: str | PathLike) -> Codebook:
    """Read a codebook. Raises FileNotFoundError, or ValueError if it is of another kind."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such codebook; write it with build_codebook")
    try:
        with np.load(path, allow_pickle=False) as stored:
            version = int(stored["version"])
            codebook = Codebook(
                tuple(stored["visemes"].tolist()), **{name: stored[name] for name in _ARRAYS}
            )
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise ValueError(f"{path}: not a codebook ({error}); build it again") from None
    if version != VERSION:
        raise ValueError(f"{path}: version {version}, this program reads {VERSION}; build it again")
    return codebook


def sound_to_segments(
    sound: np.ndarray, n_frames: int, codebook: Codebook
) -> list[tuple[float, float, str]]:
    """Piecewise-constant visemes (start, end in seconds, viseme) that cover `n_frames` at 25 fps.

    sound (N,) int16 at 16 kHz mono, cut or padded with silence to the frames' length. Bounds lie
    between video frames. Raises GenerationError('silent sound') for digital or near silence and
    for values that are no numbers.
    """
    labels = frame_labels(sound, n_frames, codebook)
    bounds = [0, *(i for i in range(1, n_frames) if labels[i] != labels[i - 1]), n_frames]
    return [(a / FPS, b / FPS, labels[a]) for a, b in pairwise(bounds)]


def frame_labels(sound: np.ndarray, n_frames: int, codebook: Codebook) -> list[str]:
    """The viseme of each of `n_frames` video frames; see sound_to_segments."""
    sound = np.asarray(sound)
    check_sound(sound)
    length = n_frames * SAMPLE_RATE // FPS
    sound = np.pad(sound[:length], (0, max(0, length - len(sound))))
    check_sound(sound)
    cepstra, level = mfcc(sound)
    posterior = _log_posterior(codebook, with_context(cepstra, level))
    evidence = ACOUSTIC_WEIGHT * (posterior - PRIOR_WEIGHT * codebook.log_prior)
    path = _viterbi(evidence, codebook.log_prior, codebook.log_transition)
    if "sil" in codebook.visemes:
        path[_pauses(level)] = codebook.visemes.index("sil")
    return _vote(path, n_frames, codebook.visemes)


def mfcc(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mel cepstra (S, 13) and level in dB (S,), one every 10 ms, of sound (N,) at 16 kHz.

    Step s describes the 25 ms around (s + 0.5) * 10 ms. S = ceil(N / 160).
    """
    x = np.asarray(sound, np.float64) / 32768
    x = np.append(x[:1], x[1:] - 0.97 * x[:-1])
    steps = -(-len(x) // HOP)
    x = np.pad(x, (WINDOW // 2, WINDOW + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[HOP // 2 :: HOP][:steps]
    power = np.abs(np.fft.rfft(windows * np.hamming(WINDOW), FFT)) ** 2
    cepstra = dct(np.log(power @ _MEL_BANDS + 1e-8), axis=1, norm="ortho")[:, :N_CEPSTRA]
    return cepstra, 10 * np.log10(power.sum(1) + 1e-8)


def with_context(cepstra: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Cepstra (S, 13) less their mean over speech, each with its neighbours: (S, 169) float32.

    The mean takes out voice and channel. Dividing by the deviation as well cost 2-3 points of
    accuracy: over 1.16 s it depends too much on which phonemes there are.
    """
    centred = cepstra - cepstra[level > level.max() - SPEECH_RANGE_DB].mean(0)
    near = np.arange(len(cepstra))[:, None] + np.arange(-CONTEXT, CONTEXT + 1)
    return centred[near.clip(0, len(cepstra) - 1)].reshape(len(cepstra), -1).astype(np.float32)


def labelled_cepstra(speech: Speech) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of features (S, 169) and true visemes (S,) for clip-long pieces of a sentence."""
    cepstra, level = mfcc(speech.sound)
    times = (np.arange(len(cepstra)) + 0.5) * HOP / SAMPLE_RATE
    labels = np.array(frame_visemes(segments(speech.phonemes), times))
    starts = range(0, max(1, len(cepstra) - PIECE // 2), PIECE)
    cuts = [slice(start, start + PIECE) for start in starts]
    return [(with_context(cepstra[cut], level[cut]), labels[cut]) for cut in cuts]


def _script() -> list[tuple[Voice, list[str]]]:
    """Sixteen voices, two an accent, and the sentences that each of them says."""
    script = []
    for number in range(2 * len(ACCENTS)):
        variant, pitch = (
            (("m1", "m3", "m5", "m7")[number // 2 % 4], 38)
            if number % 2 == 0
            else (("f1", "f3")[number // 2 % 2], 66)
        )
        name = f"{ACCENTS[number // 2]}+{variant}"
        voice = Voice(name, (150, 165, 180)[number % 3], pitch + number * 7 % 21 - 10)
        chosen = [(number * 5 + j * 3) % len(SENTENCES) for j in range(8)]
        chosen += [
            (number * 5 + j * 3 + 1) % len(SENTENCES) for j in range(SENTENCES_PER_VOICE - 8)
        ]
        script.append((voice, [SENTENCES[i] for i in chosen]))
    return script


def _fit(features: list[np.ndarray], labels: list[np.ndarray]) -> Codebook:
    """Network and bigrams from features (S, C) and viseme names (S,) of many pieces."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    names, joined = np.unique(np.concatenate(labels), return_inverse=True)
    network = MLPClassifier((HIDDEN,), max_iter=EPOCHS, batch_size=256, random_state=0)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        network.fit(np.concatenate(features), joined)  # one thread: sums in one order, same bits
    counts = np.full((len(names), len(names)), 0.1)
    for piece in labels:
        numbers = np.searchsorted(names, piece)
        np.add.at(counts, (numbers[:-1], numbers[1:]), 1)
    prior = np.bincount(joined, minlength=len(names)) / len(joined)
    hidden, output = (
        np.vstack([w, b]).astype(np.float32)
        for w, b in zip(network.coefs_, network.intercepts_, strict=True)
    )
    transition = counts / counts.sum(1, keepdims=True)
    return Codebook(
        tuple(names.tolist()),
        hidden,
        output,
        np.log(prior).astype(np.float32),
        np.log(transition).astype(np.float32),
    )


def _log_posterior(codebook: Codebook, features: np.ndarray) -> np.ndarray:
    """Log posteriors (S, K) for features (S, C)."""
    hidden = np.maximum(features @ codebook.hidden[:-1] + codebook.hidden[-1], 0)
    scores = hidden @ codebook.output[:-1] + codebook.output[-1]
    scores -= scores.max(1, keepdims=True)
    return np.maximum(scores - np.log(np.exp(scores).sum(1, keepdims=True)), -30)


def _viterbi(evidence: np.ndarray, log_prior: np.ndarray, log_transition: np.ndarray) -> np.ndarray:
    """The most likely path (S,) through K states for log evidence (S, K)."""
    best = log_prior + evidence[0]
    came_from = np.zeros(evidence.shape, np.intp)
    for step in range(1, len(evidence)):
        scores = best[:, None] + log_transition
        came_from[step] = scores.argmax(0)
        best = scores.max(0) + evidence[step]
    path = np.empty(len(evidence), np.intp)
    path[-1] = best.argmax()
    for step in range(len(evidence) - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path


def _pauses(level: np.ndarray) -> np.ndarray:
    """Mask (S,) of steps within a long stretch that is quiet beside the loudest step."""
    quiet = level < level.max() - SILENCE_DB
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    mask = np.zeros(len(level), bool)
    for start, end in edges.reshape(-1, 2):
        mask[start:end] = end - start >= SILENCE_STEPS
    return mask


def _vote(path: np.ndarray, n_frames: int, visemes: tuple[str, ...]) -> list[str]:
    """The viseme that holds most of each frame; of two equals the one that closes the lips."""
    closes = np.array([name in ("PP", "FF") for name in visemes])
    steps = path.reshape(n_frames, STEPS_PER_FRAME)
    votes = (steps[..., None] == np.arange(len(visemes))).sum(1) + 0.5 * closes
    votes[:, closes] *= (steps[..., None] == np.flatnonzero(closes)).any(1)
    votes[np.arange(n_frames), steps[:, STEPS_PER_FRAME // 2]] += 0.25
    return [visemes[i] for i in votes.argmax(1)]


def _mel_bands() -> np.ndarray:
    """Triangular filters (257, 26), evenly spaced in mel from 80 to 7600 Hz."""

    def mel(hertz):
        return 2595 * np.log10(1 + hertz / 700)

    edges = np.linspace(mel(80), mel(7600), N_BANDS + 2)
    place = mel(np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE))[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    return np.minimum(rising, falling).clip(0)


_MEL_BANDS = _mel_bands()
_ARRAYS = ("hidden", "output", "log_prior", "log_transition")
