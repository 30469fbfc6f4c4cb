"""Invented people: a head, a look, a voice and a way of speaking, all from one seed."""

from dataclasses import dataclass

import numpy as np

from visemix.heads.appearance import Look, random_look
from visemix.heads.articulation import Style, random_style
from visemix.heads.model import Head
from visemix.heads.speech import Voice, random_voice


@dataclass(frozen=True)
class Speaker:
    """One person of the embedded corpus."""

    identity: np.ndarray  # (K,) coefficients of the head model
    look: Look
    voice: Voice
    style: Style
    eyelid: float  # resting weight of the blink units


def random_speaker(rng: np.random.Generator, head: Head) -> Speaker:
    """Draw a person; the voice goes with the head's sex."""
    identity = rng.normal(0, 0.85, head.n_pcs).clip(-2, 2)
    traits = head.trait_values(identity)
    return Speaker(
        identity=identity,
        look=random_look(rng, traits),
        voice=random_voice(rng, traits["male"] > 0.5),
        style=random_style(rng),
        eyelid=rng.uniform(0.0, 0.15),
    )
