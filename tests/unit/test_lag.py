import json

import numpy as np
import pandas as pd
import pytest

from visemix.clips.shard_writer import CropRecord, write_crops
from visemix.media import write_clip
from visemix.synthesis.audio_visual_sync import (
    LAGS,
    correlations,
    describe,
    read_lag,
    set_lag,
    write_lag,
)


def speaking(seed: int, late: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops (29, 96, 96) whose mouth is as dark as the sound was loud `late` frames ago; sound."""
    rng = np.random.default_rng(seed)
    loud = np.convolve(rng.uniform(0, 1, 41), [0.25, 0.5, 0.25], "same")
    loud = (loud - loud.min()) / np.ptp(loud)
    crops = np.full((29, 96, 96), 150.0)
    crops[:, 40:60, 25:70] -= 100 * loud[6 - late : 35 - late, None, None]
    crops += rng.normal(0, 2, crops.shape)
    levels = np.repeat(10 ** (1 + 2.5 * loud[6:35]), 640)
    sound = levels * rng.normal(0, 1, len(levels))
    return crops.clip(0, 255).astype(np.uint8), sound.clip(-32768, 32767).astype(np.int16)


@pytest.mark.parametrize(("late", "verdict"), [(0, "in step"), (4, "out of step"), (-3, "out of")])
def test_a_set_that_is_late_is_found_out(late, verdict):
    lag = set_lag(np.array([correlations(*speaking(seed, late)) for seed in range(30)]))
    assert lag["lag_frames"] == pytest.approx(late, abs=0.6)
    assert lag["interval"][0] <= lag["lag_frames"] <= lag["interval"][1]
    assert lag["verdict"].startswith(verdict)
    assert ("WARNING" in describe(lag)) == bool(late)


def test_the_clips_of_a_portrait_are_drawn_together():
    """Five portraits, each with a lag of its own: over clips the interval was half as wide."""
    curves = np.array([-((LAGS - lag) ** 2) for lag in (-2, -1, 0, 1, 2)], float).repeat(20, 0)
    by_portrait, by_clip = (
        np.ptp(set_lag(curves, clusters)["interval"])
        for clusters in (np.repeat(np.arange(5), 20), None)
    )
    assert by_portrait > 2 * by_clip > 0
    assert set_lag(curves[:20], np.zeros(20))["verdict"] == "not resolved"


def test_noise_one_clip_and_no_clip_resolve_nothing():
    noise = np.random.default_rng(0).normal(0, 0.3, (12, len(LAGS)))
    assert set_lag(noise)["verdict"] == "not resolved"
    assert set_lag(noise[:1])["verdict"] == "not resolved"
    nothing = set_lag(noise[:0])
    assert (nothing["lag_frames"], nothing["verdict"]) == (None, "not resolved")
    assert "no clips" in describe(nothing)


def test_still_mouths_and_silence_give_no_nan():
    crops, sound = speaking(0, 0)
    assert not correlations(np.repeat(crops[:1], 29, 0), sound).any()
    assert np.isfinite(correlations(crops, np.zeros(18560, np.int16))).all()


def test_the_lag_of_a_set_on_disk(tmp_path):
    rows, records = [], []
    for seed in range(12):
        crops, sound = speaking(seed, 0)
        write_clip(tmp_path / f"{seed}.mp4", np.full((29, 32, 32, 3), 9, np.uint8), sound)
        records.append(CropRecord(f"c{seed:02d}", "A", crops))
        rows.append((f"c{seed:02d}", f"{seed}.mp4"))
    write_crops(tmp_path / "crops", records, {})
    plan = pd.DataFrame([*rows, ("c99", "rejected.mp4")], columns=["clip_id", "media"])
    write_lag(tmp_path / "crops", plan, tmp_path, tmp_path / "lag.json")
    lag = read_lag(tmp_path / "lag.json")
    assert (lag["clips"], lag["verdict"]) == (12, "in step")
    assert json.loads((tmp_path / "lag.json").read_text()) == lag
