"""Synthetic speech with exact phoneme and word times, by espeak-ng.

The library and its voices come from the package `espeakng-loader` (GPL-3; it is only called). Each
sentence is spoken by a process of its own: within one process espeak-ng carries hidden state from
one utterance to the next, so that the same text would give other samples and even another length.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import av
import espeakng_loader
import numpy as np

SAMPLE_RATE = 16000  # Hz
CHILD = Path(str(files("visemix.heads") / "espeak_child.py"))
ACCENTS = (
    "gmw/en", "gmw/en-US", "gmw/en-GB-scotland", "gmw/en-GB-x-rp", "gmw/en-029",
    "gmw/en-GB-x-gbclan", "gmw/en-GB-x-gbcwmd", "gmw/en-US-nyc",
)  # fmt: skip
MALE = tuple(f"m{i}" for i in range(1, 8))
FEMALE = tuple(f"f{i}" for i in range(1, 5))


class SpeechError(RuntimeError):
    """espeak-ng or one of its voices is missing, or a sentence cannot be spoken."""


@dataclass(frozen=True)
class Span:
    """A phoneme (espeak-ng mnemonic) or a word, with its start and end in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Voice:
    """A voice file with an optional variant (`gmw/en-US+f3`), and how it speaks.

    rate: words per minute, 80..450; pitch and pitch_range: 0..100.
    """

    name: str = "gmw/en"
    rate: int = 165
    pitch: int = 50
    pitch_range: int = 50


@dataclass(frozen=True)
class Speech:
    """One spoken sentence: sound (N,) int16 at 16 kHz, its phonemes and its words."""

    sound: np.ndarray
    phonemes: list[Span]
    words: list[Span]


def random_voice(rng: np.random.Generator, male: bool) -> Voice:
    """Draw accent, variant, rate and pitch; the same generator state gives the same voice."""
    accent = ACCENTS[rng.integers(len(ACCENTS))]
    variants = MALE if male else FEMALE
    low, high = (25, 55) if male else (50, 85)
    return Voice(
        name=f"{accent}+{variants[rng.integers(len(variants))]}",
        rate=int(rng.integers(140, 190)),
        pitch=int(rng.integers(low, high)),
        pitch_range=int(rng.integers(35, 65)),
    )


def say(text: str, voice: Voice = Voice()) -> Speech:
    """Speak `text`; equal text and voice give equal bytes, in any process and at any time.

    Word spans cover every word of `text` as espeak-ng splits it. The last phonemes are the pause
    that ends the sentence. Raises SpeechError with the cause and a remedy.
    """
    if not text.strip() or "\0" in text:
        raise SpeechError(f"cannot speak the text {text!r}: give at least one word")
    check_voice(voice)
    job = {
        "library": str(espeakng_loader.get_library_path()),
        "data": str(espeakng_loader.get_data_path()),
        "text": text, "voice": voice.name, "rate": voice.rate,
        "pitch": voice.pitch, "pitch_range": voice.pitch_range,
    }  # fmt: skip
    command = [sys.executable, "-I", "-S", str(CHILD)]
    done = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True)
    if done.returncode:
        cause = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise SpeechError(
            f"espeak-ng could not say {text!r} with voice {voice.name}: {cause}. "
            "Reinstall the package espeakng-loader if its files are damaged"
        )
    return _parse(text, done.stdout)


def check_voice(voice: Voice) -> None:
    """Raise SpeechError if the voice file or its variant is missing, or a value out of range.

    espeak-ng itself takes an unknown variant without a word and speaks with another voice.
    """
    data = Path(espeakng_loader.get_data_path())
    for path in (Path(espeakng_loader.get_library_path()), data):
        if not path.exists():
            raise SpeechError(f"{path} is missing: reinstall the package espeakng-loader")
    accent, _, variant = voice.name.partition("+")
    known = data / "lang" / accent
    if not known.is_file():
        raise SpeechError(
            f"no voice {voice.name}: {known} is missing; use one of "
            f"{', '.join(ACCENTS)}, with or without a variant"
        )
    known = data / "voices" / "!v" / (variant or "f1")
    if not known.is_file():
        raise SpeechError(
            f"no voice {voice.name}: {known} is missing; use one of the variants "
            f"{', '.join('+' + name for name in MALE + FEMALE)}"
        )
    for key, low, high in (("rate", 80, 450), ("pitch", 0, 100), ("pitch_range", 0, 100)):
        value = getattr(voice, key)
        if not low <= value <= high:
            raise SpeechError(f"voice {voice.name}: {key} is {value}, must be {low}..{high}")


def _parse(text: str, output: bytes) -> Speech:
    """The child's output as a Speech."""
    line, raw = output.split(b"\n", 1)
    head = json.loads(line)
    samples = np.frombuffer(raw, np.int16)
    rate, total = head["rate"], len(samples) / head["rate"]
    if not len(samples):
        raise SpeechError(f"espeak-ng made no sound of {text!r}: give pronounceable words")

    def spans(kind, name):
        found = [(e[1] / rate, name(*e[2:])) for e in head["events"] if e[0] == kind]
        ends = [start for start, _ in found[1:]] + [total]
        return [Span(start, end, label) for (start, label), end in zip(found, ends, strict=False)]

    return Speech(
        sound=resample(samples, rate),
        phonemes=spans("phoneme", lambda mnemonic: mnemonic),
        words=spans("word", lambda position, length: text[position : position + length]),
    )


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    """int16 mono (N,) from `rate` Hz to 16 kHz, by libswresample."""
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    parts = resampler.resample(frame) + resampler.resample(None)
    return np.concatenate([part.to_ndarray()[0] for part in parts])
