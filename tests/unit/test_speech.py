import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import espeakng_loader
import numpy as np
import pytest

from visemix.heads import speech
from visemix.heads.speech import SpeechError, Voice, random_voice, say

TEXT = "they said money today"


def test_equal_input_gives_equal_bytes_also_side_by_side():
    voices = [Voice("gmw/en"), Voice("gmw/en-US+f3", 150, 66, 60)]
    alone = [say(TEXT, voice) for voice in voices]
    with ThreadPoolExecutor(4) as pool:  # every sentence is a process of its own
        together = list(pool.map(lambda voice: say(TEXT, voice), voices * 3))
    time.sleep(1.1)  # left alone, espeak-ng seeds its noise by the clock's seconds
    together += [say(TEXT, voice) for voice in voices]
    for i, spoken in enumerate(together):
        assert spoken.sound.tobytes() == alone[i % 2].sound.tobytes()
        assert spoken.phonemes == alone[i % 2].phonemes
        assert spoken.words == alone[i % 2].words
    assert alone[0].sound.tobytes() != alone[1].sound.tobytes()


def test_times_cover_the_sound():
    spoken = say(TEXT)
    assert spoken.sound.dtype == np.int16 and spoken.sound.ndim == 1
    assert [word.text for word in spoken.words] == TEXT.split()
    seconds = len(spoken.sound) / speech.SAMPLE_RATE
    for spans in (spoken.phonemes, spoken.words):
        assert spans[-1].end == pytest.approx(seconds, abs=0.01)
        assert all(a.end == b.start for a, b in itertools.pairwise(spans))
        assert all(span.start <= span.end for span in spans)


def test_phonemes_stand_where_the_sound_is():
    """The hiss of /s/ has its power in high frequencies, a vowel has it in low ones."""
    spoken = say("a sea saw")

    def high_share(span):
        a, b = (int(t * speech.SAMPLE_RATE) for t in (span.start, span.end))
        power = np.abs(np.fft.rfft(spoken.sound[a:b].astype(float))) ** 2
        return power[len(power) * 3 // 8 :].sum() / power.sum()

    hisses = [high_share(p) for p in spoken.phonemes if p.text.strip("',") == "s"]
    vowels = [high_share(p) for p in spoken.phonemes if p.text.strip("',")[:2] in ("i:", "O:")]
    assert hisses and vowels and min(hisses) > 5 * max(vowels)


def test_random_voices_are_real_and_repeatable():
    for male in (True, False):
        drawn = [random_voice(np.random.default_rng([seed]), male) for seed in range(40)]
        again = [random_voice(np.random.default_rng([seed]), male) for seed in range(40)]
        assert drawn == again and len({voice.name for voice in drawn}) > 10
        for voice in drawn:
            speech.check_voice(voice)
            assert ("+m" in voice.name) == male


@pytest.mark.parametrize(
    "voice, message",
    [
        (Voice("gmw/en-gb"), "no voice gmw/en-gb: .*en-gb is missing"),
        (Voice("gmw/en+f99"), "no voice .*f99"),
        (Voice(rate=900), "rate is 900"),
        (Voice(pitch=-1), "pitch is -1"),
    ],
)
def test_wrong_voice_is_refused(voice, message):
    with pytest.raises(SpeechError, match=message):
        say(TEXT, voice)


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_text_that_cannot_be_spoken_is_refused(text):
    with pytest.raises(SpeechError, match="cannot speak"):
        say(text)


def test_missing_and_damaged_library(monkeypatch, tmp_path):
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(tmp_path / "gone.so"))
    with pytest.raises(SpeechError, match=r"gone\.so is missing: reinstall"):
        say(TEXT)
    (tmp_path / "gone.so").write_bytes(b"not a library")
    with pytest.raises(SpeechError, match="cannot load the library"):
        say(TEXT)
