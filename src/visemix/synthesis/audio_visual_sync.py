"""Are mouths and sounds of a synthetic set in sync? Measured over the set, not by the clip.

A clip of 1.16 s is too short for it: where mouth movement and darkness were correlated with the
sound's level at lags of -6..6 frames, the best lag was within one frame of the truth for 50% of 300
clips of the embedded corpus (59% of 150 others, 40% of 246 of the portrait generator), where chance
is 23%; a check by the clip would reject half of the good ones. The mean correlation over the set
has a clear peak: at 0.43 frames [95% interval 0.36, 0.53], 0.48 [0.35, 0.63] and 0.07 [0.01, 0.15]
for these three sets, and at 3.55, 3.61 and 3.22 after the picture was delayed by 3 frames. Sets of
8 clips gave intervals from one frame wide to useless: such a set is called "not resolved".
"""

import json
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import open_crops
from visemix.evaluation.statistics import cluster_rows, speakers_of
from visemix.media import read_sound
from visemix.run.atomic import write_json
from visemix.synthesis.checks import frame_levels

LAGS = np.arange(-6, 7)  # frames by which the picture is later than the sound
TOLERANCE = 1.0  # frames
CLIPS = 1000  # of a larger set as many are measured, evenly spaced
DRAWS = 1000  # of the bootstrap
MOUTH, LIPS = np.s_[:, 28:72, 20:76], np.s_[:, 44:56, 32:64]  # of 96x96 crops


def write_lag(
    crops_folder: str | PathLike,
    plan: pd.DataFrame,
    media_root: str | PathLike,
    path: str | PathLike,
) -> None:
    """Measure the lag of a finished crop set and write it to `path` (JSON, see set_lag).

    plan: clip_id and media (path of the sound under media_root) of its clips.
    """
    with open_crops(crops_folder) as crops:
        media = plan.set_index("clip_id")["media"]
        rows = np.unique(np.linspace(0, len(crops) - 1, min(CLIPS, len(crops))).round().astype(int))
        curves = [
            correlations(
                crops.read([row])[0],
                read_sound(Path(media_root) / media[crops.index["clip_id"].iloc[row]]),
            )
            for row in rows
        ]
        speakers = speakers_of(crops.index.iloc[rows])  # portraits
    write_json(path, set_lag(np.array(curves).reshape(-1, len(LAGS)), speakers))


def read_lag(path: str | PathLike) -> dict:
    """What write_lag wrote."""
    return json.loads(Path(path).read_text())


def correlations(crops: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Correlation (13,) of a clip's mouth with its sound at each of LAGS.

    crops (T, 96, 96) uint8, sound (N,) int16 from the first frame on. The mean over two traces of
    the mouth: how much it changes between frames, and how dark it is between the lips.
    """
    level = frame_levels(sound, len(crops))
    pictures = crops.astype(np.float32)
    change = np.r_[0, np.abs(np.diff(pictures[MOUTH], axis=0)).mean((1, 2))]
    traces = change, -pictures[LIPS].mean((1, 2))
    return np.mean([[_correlation(t, level, int(lag)) for lag in LAGS] for t in traces], 0)


def set_lag(curves: np.ndarray, clusters: np.ndarray | None = None, seed: int = 0) -> dict:
    """The lag of a set from the correlations (clips, 13) of its clips; clusters: of whom each is.

    Keys: clips; lag_frames, at which the mean correlation is largest (between frames by a
    parabola; positive: the picture is late); interval, 95% by bootstrap over `clusters` (None:
    over clips); correlation, its largest value; verdict: "in step" or "out of step" where the whole
    interval is within one frame or none of it, else "not resolved". Without clips lag and interval
    are None.
    """
    if not len(curves):
        return {"clips": 0, "lag_frames": None, "interval": None, "correlation": None} | {
            "verdict": "not resolved"
        }
    rng, mean = np.random.default_rng(seed), curves.mean(0)
    groups = cluster_rows(np.arange(len(curves)) if clusters is None else clusters)
    drawn = rng.integers(0, len(groups), (DRAWS, len(groups)))
    peaks = [_peak(curves[np.concatenate([groups[i] for i in row])].mean(0)) for row in drawn]
    low, high = np.percentile(peaks, [2.5, 97.5])
    verdict = "not resolved"
    if len(groups) > 1 and low >= -TOLERANCE and high <= TOLERANCE:
        verdict = "in step"
    elif len(groups) > 1 and (low > TOLERANCE or high < -TOLERANCE):
        verdict = "out of step"
    return {
        "clips": len(curves),
        "lag_frames": round(_peak(mean), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
        "correlation": round(float(mean.max()), 3),
        "verdict": verdict,
    }


def describe(lag: dict) -> str:
    """One sentence for the report; a warning where the set is out of step."""
    if lag["lag_frames"] is None:
        return "lag of picture and sound not measured: no clips"
    low, high = lag["interval"]
    warning = "WARNING: " if lag["verdict"] == "out of step" else ""
    measured = f"lag {lag['lag_frames']:+.1f} frames [{low:+.1f}, {high:+.1f}], n = {lag['clips']}"
    return f"{warning}picture and sound {lag['verdict']}: {measured}"


def _correlation(mouth: np.ndarray, level: np.ndarray, lag: int) -> float:
    """Pearson's r of mouth (T,) at t + lag with level (T,) at t; 0 where one does not change."""
    later, earlier = max(0, lag), max(0, -lag)
    a = mouth[later : len(mouth) - earlier]
    b = level[earlier : len(level) - later]
    if len(a) < 3 or a.std() < 1e-9 or b.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _peak(curve: np.ndarray) -> float:
    """The lag of the largest value, by a parabola through it and its neighbours."""
    best = int(curve.argmax())
    if not 0 < best < len(curve) - 1:
        return float(LAGS[best])
    before, at, after = curve[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(LAGS[best] + (0.5 * (before - after) / bend if bend else 0))
