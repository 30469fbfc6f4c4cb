"""Mel spectrograms of speech with the constants published for Wav2Lip, and windows of 200 ms.

Prajwal et al., "A lip sync expert is all you need for speech to lip generation in the wild" (ACM
MM 2020), and the settings of its public code: 16 kHz, pre-emphasis 0.97, 50 ms Hann windows every
12.5 ms, 80 mel bands (Slaney's scale and area) from 55 to 7600 Hz, decibels of the magnitude above
-100, less 20, scaled so that [-100, 0] becomes [-4, 4] and cut there.

Column c of a spectrogram describes the 50 ms around sample 200 c, and video frame i starts at
sample 640 i, that is at column 3.2 i.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from scipy.signal import get_window, lfilter

from visemix.media import FPS, SAMPLE_RATE

PRE_EMPHASIS = 0.97
FFT, HOP, N_MELS = 800, 200, 80  # samples, samples, bands
LOWEST, HIGHEST = 55.0, 7600.0  # Hz
MIN_DB, REFERENCE_DB, RANGE = -100.0, 20.0, 4.0
COLUMNS_PER_SECOND = SAMPLE_RATE // HOP
WINDOW = 16  # columns: 200 ms, the length of five frames
KEPT = 4096  # spectrograms of a split, of 30 kB for 29 frames


def mel_spectrogram(sound: np.ndarray) -> np.ndarray:
    """Mel spectrogram (..., 80, 1 + N // 200) float32 in [-4, 4] of sound (..., N) at 16 kHz mono.

    int16, or floating point in [-1, 1]. Digital silence is -4 everywhere. Raises ValueError for
    sounds of no more than 400 samples (they are mirrored by as many at their ends) and for values
    that are not finite.
    """
    sound = np.asarray(sound)
    if sound.ndim == 0 or sound.shape[-1] <= FFT // 2:
        raise ValueError(f"a sound of shape {sound.shape} is too short; give over {FFT // 2}")
    x = sound.astype(np.float64) / (32768 if sound.dtype == np.int16 else 1)
    if not np.isfinite(x).all():
        raise ValueError("the sound holds values that are not finite")
    x = lfilter([1, -PRE_EMPHASIS], [1], x)
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(FFT // 2, FFT // 2)], mode="reflect")
    pieces = np.lib.stride_tricks.sliding_window_view(x, FFT, axis=-1)[..., ::HOP, :]
    magnitude = np.abs(np.fft.rfft(pieces * get_window("hann", FFT)))  # (..., columns, 401)
    level = 20 * np.log10(np.maximum(magnitude @ _MEL_BANDS, 10 ** (MIN_DB / 20))) - REFERENCE_DB
    scaled = np.clip(2 * RANGE * (level - MIN_DB) / -MIN_DB - RANGE, -RANGE, RANGE)
    return np.ascontiguousarray(np.swapaxes(scaled, -1, -2), np.float32)


def spectra_of(data) -> Callable[[int], np.ndarray]:
    """The function that gives the mel spectrogram (80, columns) of a row of paired clips.

    It remembers those of a small split, up to KEPT clips. Of a larger one it remembers none: rows
    come in random order, so that hardly one would still be there when it is read again.
    """

    def spectrum(row: int) -> np.ndarray:
        return mel_spectrogram(data.sounds([row])[0])

    return cache(spectrum) if len(data) <= KEPT else spectrum


def windows(mel: np.ndarray, first_frames: Sequence[int] | np.ndarray) -> np.ndarray:
    """Windows (n, 80, 16) of a mel spectrogram (80, columns), one for each of `first_frames`.

    A window starts at column floor(3.2 i) for frame i, as the published code has it. Frames before
    the first or after the last are allowed: where there is no sound, there is silence.
    """
    starts = np.floor(np.asarray(first_frames) * COLUMNS_PER_SECOND / FPS).astype(int)
    columns = starts[:, None] + np.arange(WINDOW)
    inside = (columns >= 0) & (columns < mel.shape[-1])
    chosen = mel[:, columns.clip(0, mel.shape[-1] - 1)]  # (80, n, 16)
    return np.where(inside, chosen, np.float32(-RANGE)).swapaxes(0, 1)


def _mel_bands() -> np.ndarray:
    """Triangles (401, 80) of equal area, evenly spaced on Slaney's mel scale."""
    low, high = _mel(np.array([LOWEST, HIGHEST]))
    edges = _hertz(np.linspace(low, high, N_MELS + 2))
    place = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)[:, None]
    rising = (place - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - place) / (edges[2:] - edges[1:-1])
    return np.minimum(rising, falling).clip(0) * 2 / (edges[2:] - edges[:-2])


# Slaney's scale (Auditory Toolbox, 1998): 15 mel are 1000 Hz, linear below, 27 steps to 6.4 kHz.
def _mel(hertz: np.ndarray) -> np.ndarray:
    above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
    return np.where(hertz < 1000, hertz * 15 / 1000, above)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 1000 / 15, 1000 * 6.4 ** ((np.maximum(mel, 15) - 15) / 27))


_MEL_BANDS = _mel_bands()
