"""The sound of one clip: a word within a carrier sentence that knows nothing of the word."""

import re
from dataclasses import dataclass, replace

import numpy as np

from visemix.heads.speech import SAMPLE_RATE, Span, SpeechError, Voice, say
from visemix.media import FPS, cut_sound

CLIP_FRAMES = 29
CLIP_SECONDS = CLIP_FRAMES / FPS
CLIP_SAMPLES = CLIP_FRAMES * SAMPLE_RATE // FPS
# Carriers are drawn independently of the word: their mouths are seen within the 29 frames, and
# must not show which word it is. None of them holds a word of LRW.
BEFORE = (
    "they said", "we talk", "the new", "i know", "he was", "and the", "too much", "you know that",
    "it is", "for some", "she put", "you are", "we need", "all of", "they use", "not only",
    "they call it", "far more", "here is", "this old", "in each", "who has", "look at",
    "from his", "just like", "on top of", "with our", "he wrote", "we say", "my own",
)  # fmt: skip
AFTER = (
    "on monday", "once more", "for them", "in the end", "with you", "as well", "on tuesday",
    "to us all", "at last", "and then", "each day", "she said", "to me", "over lunch",
    "by now", "from here", "is over", "when it rains", "or so", "at home", "last week",
    "you see", "for a bit", "near us", "too soon", "but why", "this week", "down here",
    "in april", "by the door",
)  # fmt: skip
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class SpokenWord:
    """A word in its carrier. Times are clip times: the word's middle is the clip's."""

    text: str  # the whole sentence
    sound: np.ndarray  # (18560,) int16, 16 kHz mono
    phonemes: list[Span]  # of the whole sentence, also outside the clip
    word_start: float  # seconds
    word_end: float


def random_carrier(rng: np.random.Generator) -> tuple[str, str]:
    """What is said before and after the word."""
    return BEFORE[rng.integers(len(BEFORE))], AFTER[rng.integers(len(AFTER))]


def speak_word(word: str, voice: Voice, rng: np.random.Generator) -> SpokenWord:
    """Say `word` within a random carrier and cut 29 frames of sound about its middle.

    Raises SpeechError if the word is not one English word in letters, or if espeak-ng does not
    speak it as a word of its own.
    """
    word = word.lower()
    if not _WORD.fullmatch(word):
        raise SpeechError(f"cannot speak {word!r}: give one English word in letters")
    before, after = random_carrier(rng)
    text = f"{before} {word} {after}"
    speech = say(text, voice)
    start, end = word_span(speech.words, before, word, after)
    offset = (start + end) / 2 - CLIP_SECONDS / 2
    phonemes = [replace(p, start=p.start - offset, end=p.end - offset) for p in speech.phonemes]
    sound = cut_sound(speech.sound, round(offset * SAMPLE_RATE), CLIP_SAMPLES)
    return SpokenWord(text, sound, phonemes, start - offset, end - offset)


def word_span(words: list[Span], before: str, word: str, after: str) -> tuple[float, float]:
    """Start and end in seconds of `word` among the spans that espeak-ng gave for the sentence.

    espeak-ng speaks some groups of words as one ("so much"). Raises SpeechError unless the word
    has one span of its own and the next word starts where it ends.
    """
    spoken = [span.text.strip().lower() for span in words]
    places = [i for i, text in enumerate(spoken) if text == word]
    if len(places) != 1 or spoken[places[0] + 1 : places[0] + 2] != after.split()[:1]:
        raise SpeechError(
            f"espeak-ng does not speak {word!r} as one word of its own in "
            f"'{before} {word} {after}' but as: {' | '.join(spoken)}; use another word"
        )
    return words[places[0]].start, words[places[0]].end
