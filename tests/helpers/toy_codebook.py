"""A codebook that predicts an open vowel where it is loud and a pause elsewhere, at no cost."""

from functools import cache

import numpy as np
import pytest

from visemix.generators import sound_to_visemes
from visemix.generators.sound_to_visemes import CONTEXT, N_CEPSTRA, Codebook, build_codebook


def loud_or_not() -> Codebook:
    """The first cepstrum is the level; it counts as loud down to the mean of the clip's speech."""
    hidden = np.zeros(((2 * CONTEXT + 1) * N_CEPSTRA + 1, 1), np.float32)
    hidden[CONTEXT * N_CEPSTRA], hidden[-1] = 1, 15
    output = np.array([[0, 1], [5, 0]], np.float32)
    even = np.log(np.full((2, 2), 0.5, np.float32))
    return Codebook(("sil", "aa"), hidden, output, even[0], even)


LOUD_OR_NOT = loud_or_not()


@cache
def small_codebook():
    """One of less speech, for tests that need no accuracy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sound_to_visemes, "SENTENCES_PER_VOICE", 8)
        patch.setattr(sound_to_visemes, "ACCENTS", sound_to_visemes.ACCENTS[:2])
        return build_codebook()
