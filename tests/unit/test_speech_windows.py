"""Mel spectrograms with the published constants, and which sound belongs to which video frame."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from visemix.generators.speech_windows import (
    COLUMNS_PER_SECOND,
    FFT,
    HOP,
    N_MELS,
    WINDOW,
    mel_spectrogram,
    windows,
)

RATE = 16000
CLIP = 29 * 640


def tone(hertz: float, samples: int = CLIP, level: float = 0.5) -> np.ndarray:
    time = np.arange(samples) / RATE
    return (level * 32767 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)


def noise(samples: int = CLIP, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8000, 8000, samples).astype(np.int16)


def slaney_edges() -> np.ndarray:
    """Edges in Hz of 80 bands from 55 to 7600 Hz, by looking the scale up in a table of steps."""
    steps = np.arange(0, 60, 0.001)
    hertz = np.where(steps < 15, 200 / 3 * steps, 1000 * np.exp(np.log(6.4) / 27 * (steps - 15)))
    low, high = np.interp([55, 7600], hertz, steps)
    return np.interp(np.linspace(low, high, 82), steps, hertz)


def restated(sound: np.ndarray) -> np.ndarray:
    """The same spectrogram by scipy's short-time Fourier transform."""
    x = scipy.signal.lfilter([1, -0.97], [1], sound / 32768)
    x = np.pad(x, 400, mode="reflect")
    frequencies, _, z = scipy.signal.stft(
        x, RATE, "hann", 800, 600, boundary=None, padded=False, scaling="spectrum"
    )
    window = scipy.signal.get_window("hann", 800).sum()
    bands = np.zeros((80, len(frequencies)))
    edges = slaney_edges()
    for band in range(80):
        left, top, right = edges[band : band + 3]
        shape = np.interp(frequencies, [left, top, right], [0, 1, 0], left=0, right=0)
        bands[band] = shape * 2 / (right - left)
    level = 20 * np.log10(np.maximum(1e-5, bands @ (np.abs(z) * window))) - 20
    return np.clip(8 * (level + 100) / 100 - 4, -4, 4)


def test_published_constants():
    assert (FFT, HOP, N_MELS, COLUMNS_PER_SECOND, WINDOW) == (800, 200, 80, 80, 16)


def test_it_agrees_with_scipy():
    for sound in (noise(), tone(440), (noise() * np.linspace(0, 1, CLIP)).astype(np.int16)):
        mel = mel_spectrogram(sound)
        assert mel.shape == (80, 1 + CLIP // 200)
        assert mel.dtype == np.float32
        np.testing.assert_allclose(mel, restated(sound), atol=2e-3)


def test_a_value_by_hand():
    # A tone of 1000 Hz with amplitude 0.5 in the middle of its stretch: pre-emphasis has the gain
    # |1 - 0.97 exp(-2 pi i / 16)|, the window's sum is 400, and half of each goes into the bin.
    gain = abs(1 - 0.97 * np.exp(-2j * np.pi / 16))
    magnitudes = 0.5 * 32767 / 32768 * gain * 400 / 2 * np.array([0.5, 1, 0.5])
    edges = slaney_edges()
    band = int(np.abs(edges[1:-1] - 1000).argmin())
    left, top, right = edges[band : band + 3]
    weight = np.interp([980, 1000, 1020], [left, top, right], [0, 1, 0], 0, 0) * 2 / (right - left)
    level = 20 * np.log10(weight @ magnitudes) - 20
    expected = 8 * (level + 100) / 100 - 4
    mel = mel_spectrogram(tone(1000))[:, 20:70]
    assert mel[band] == pytest.approx(expected, abs=2e-3)
    assert (mel.argmax(0) == band).all()


def test_silence_is_the_lowest_value_and_no_nan():
    mel = mel_spectrogram(np.zeros(CLIP, np.int16))
    assert (mel == -4).all()


@settings(deadline=None, max_examples=25)
@given(st.integers(401, 40000), st.sampled_from([1, 100, 32767]))
def test_values_are_finite_and_bounded(samples, level):
    sound = np.random.default_rng(samples).integers(-level, level, samples, np.int16, True)
    mel = mel_spectrogram(sound)
    assert mel.shape == (80, 1 + samples // 200)
    assert np.isfinite(mel).all()
    assert (abs(mel) <= 4).all()


def test_many_sounds_at_once_are_the_same_as_one_by_one():
    sounds = np.stack([noise(seed=seed) for seed in range(3)])
    together = mel_spectrogram(sounds)
    for sound, mel in zip(sounds, together, strict=True):
        np.testing.assert_array_equal(mel, mel_spectrogram(sound))
    half = mel_spectrogram(sounds[0] / np.float32(32768))  # floating point, as is usual elsewhere
    np.testing.assert_allclose(half, together[0], atol=1e-5)


def test_sounds_that_cannot_be_used_are_refused():
    with pytest.raises(ValueError, match="too short"):
        mel_spectrogram(np.zeros(400, np.int16))
    with pytest.raises(ValueError, match="not finite"):
        mel_spectrogram(np.full(1000, np.nan))


def test_frame_i_starts_at_column_3_2_i():
    mel = np.arange(93, dtype=np.float32) + np.zeros((80, 1), np.float32)  # a column is its number
    cut = windows(mel, range(25))
    assert cut.shape == (25, 80, 16)
    assert cut[:, 0, 0].tolist() == [int(80 * i / 25) for i in range(25)]
    assert (np.diff(cut[:, 7], axis=1) == 1).all()


def test_a_click_is_heard_by_the_windows_that_hold_it():
    """A click in the middle of frame 10: windows of 200 ms from frames 6 to 10 hold it."""
    sound = np.zeros(CLIP, np.int16)
    sound[10 * 640 + 320] = 30000
    heard = windows(mel_spectrogram(sound), range(29)).max((1, 2)) > -4
    # 11 starts at column 35, whose 50 ms begin before the click
    assert np.flatnonzero(heard).tolist() == [6, 7, 8, 9, 10, 11]


def test_beyond_the_sound_there_is_silence():
    mel = np.ones((80, 93), np.float32)
    cut = windows(mel, [-1, 0, 25, 28, 100])
    assert (cut[0, :, :4] == -4).all()  # floor(-3.2) = -4
    assert (cut[0, :, 4:] == 1).all()
    assert (cut[1] == 1).all()
    assert (cut[2, :, :13] == 1).all()  # columns 80 to 95 of 93
    assert (cut[2, :, 13:] == -4).all()
    assert (cut[3, :, :4] == 1).all()
    assert (cut[3, :, 4:] == -4).all()
    assert (cut[4] == -4).all()
