"""Of a large validation split, wav2lip and its expert look at so many clips and no more."""

from functools import partial

import numpy as np
import pytest
import torch
from tests.helpers.toy_talkers import ToyTalkers

from visemix.config.generators import Wav2Lip
from visemix.generators.paired_clips import spread_rows
from visemix.generators.speech_windows import spectra_of
from visemix.generators.wav2lip.expert_training import validate_expert
from visemix.generators.wav2lip.model import Generator
from visemix.generators.wav2lip.syncnet import SyncNet
from visemix.generators.wav2lip.training import held_out_losses

CLIPS = 11


class Watched(ToyTalkers):
    """Notes which clips are read."""

    def crops(self, rows) -> np.ndarray:
        self.seen = [*getattr(self, "seen", []), *map(int, rows)]
        return super().crops(rows)


def losses(validation_clips: int) -> tuple[dict, list[int], list[int]]:
    """The losses of both, and the rows that each of them read."""
    config = Wav2Lip(
        size=24, width=1, expert_width=1, discriminator_width=1, batch_size=4, expert_batch_size=16,
        validation_clips=validation_clips,
    )  # fmt: skip
    torch.manual_seed(0)
    expert, generator = SyncNet(config).eval(), Generator(config)
    seen, found = [], {}
    for look in (partial(validate_expert, expert), partial(held_out_losses, generator, expert)):
        data = Watched(CLIPS)
        found |= look(data, spectra_of(data), 0, torch.device("cpu"))
        seen.append(data.seen)
    return found, *seen


def test_every_clip_counts_where_there_are_no_more():
    found, *seen = losses(CLIPS)
    assert found == losses(2000)[0]
    assert seen == [list(range(CLIPS))] * 2


def test_no_more_clips_are_looked_at_than_asked_for():
    found, *seen = losses(3)
    assert seen == [[0, 5, 10]] * 2
    assert all(np.isfinite(value) for value in found.values())
    assert found != losses(CLIPS)[0]


@pytest.mark.parametrize(("clips", "most"), [(1, 1), (1, 9), (7, 3), (150, 200), (25_000, 2000)])
def test_rows_are_spread_evenly(clips, most):
    rows = spread_rows(clips, most)
    assert len(rows) == min(clips, most)
    assert rows[0] == 0 and rows[-1] == (clips - 1 if most > 1 else 0)
    if len(rows) > 1:
        assert np.diff(rows).max() - np.diff(rows).min() <= 1


def test_no_clip_is_no_validation():
    with pytest.raises(ValueError, match="validation_clips"):
        Wav2Lip(validation_clips=0)
