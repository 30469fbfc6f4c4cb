"""All measures of one generator, from the files of its evaluation set: measures.json."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.mixture import EVALUATION
from visemix.clips.shards import CropSet, open_crops, read_rejects
from visemix.evaluation import MIXED, OBSERVER
from visemix.evaluation.resolution import compare_rows, named_clips
from visemix.evaluation.statistics import clustered_by, speakers_of
from visemix.generators.measures import psnr, ssim
from visemix.papers.cells import evaluation_folder
from visemix.synthesis import measures

VERSION = 2
STILL, REAL = "the real clip's first frame repeated", "the real clips"
WHY_VALIDATION = (
    "sounds of the test split reach no generator, and those of the training split trained "
    "recognisers and generators; recognisers were selected on the validation split, so "
    "that their accuracy on its real clips is too high"
)
# crops (T, 96, 96) uint8 and sound (N,) int16 to (offset in frames, confidence)
Sync = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


@dataclass(frozen=True)
class Pairs:
    """The accepted clips of an evaluation set beside the real clips, in the order of clip_id."""

    index: pd.DataFrame  # of the evaluation set
    rejects: pd.DataFrame
    made: list[np.ndarray]  # crops (T, 96, 96) uint8
    true: list[np.ndarray]

    @property
    def clusters(self) -> np.ndarray:
        """Who speaks each clip (see statistics.speakers_of)."""
        return speakers_of(self.index)


def read_pairs(made_folder: str | Path, real_folder: str | Path) -> Pairs:
    """Read an evaluation set and the real clips of the same clip_ids.

    Raises ShardError for a missing set, ValueError where real clips are missing.
    """
    with open_crops(made_folder) as made, open_crops(real_folder) as real:
        clip_ids = made.index["clip_id"]
        if lost := sorted(set(clip_ids) - set(real.index["clip_id"])):
            raise ValueError(
                f"{made_folder} has {len(lost)} clips that {real_folder} lacks, {lost[0]!r} for "
                "one; make the evaluation set again"
            )
        rows = real.index.reset_index().set_index("clip_id")["index"][clip_ids]
        return Pairs(
            made.index, read_rejects(made_folder), _read(made, range(len(made))), _read(real, rows)
        )


def _read(crops: CropSet, rows) -> list[np.ndarray]:
    return [crops.read([row])[0] for row in rows]


def measure_generator(
    made_folder: str | Path,
    real_folder: str | Path,
    seconds_path: str | Path,
    features: Callable[[list[np.ndarray]], list[np.ndarray]],
    predictions: dict[str, dict[str, list[pd.DataFrame]]],
    sync: Sync | None = None,
    sounds: Callable[[str], np.ndarray] | None = None,
    mixed_with: str = "portrait",
) -> dict:
    """What measures.json says of a generator.

    Args:
        features: from crops of clips to features (T, d) of each (see features.py).
        predictions: {run: {"real", "made": prediction tables, one a training}} of OBSERVER and
            MIXED, on the validation split and on the evaluation set.
        mixed_with: generator of the synthetic clips that MIXED was trained on.
        sync, sounds: the expert, and the function that gives the sound of a clip_id; None leaves
            the measures of synchrony out.

    Returns:
        {version, split, why, drawn, made, rejected: {reason: clips}, clustered_by,
        measures: [...]}, with clustered_by, what the intervals of all measures but the speed are
        over (older files lack it: over clips); a measure is
        {key, name, unit, better, value, low, high, n, reference}, with reference None or the same
        measure of something known: {name, value, low, high, n}. That of speed has the device on
        which the clips were made, too.
    """
    pairs = read_pairs(made_folder, real_folder)
    found = [*reconstruction(pairs), *distances(pairs, features)]
    if sync is not None:
        assert sounds is not None  # given with it
        found += synchrony(pairs, sync, sounds)
    drawn = sorted([*pairs.index["clip_id"], *pairs.rejects["clip_id"]])
    found += reading(predictions, drawn, mixed_with)
    found += [speed(seconds_path)]
    return {
        "version": VERSION,
        "split": "val",
        "why": WHY_VALIDATION,
        "drawn": len(drawn),
        "made": len(pairs.made),
        # without what is in brackets, which differs from clip to clip
        "rejected": dict(Counter(pairs.rejects["reason"].str.split(" (", regex=False).str[0])),
        "clustered_by": clustered_by(pairs.clusters) if len(pairs.made) else "",
        "measures": found,
    }


def reconstruction(pairs: Pairs) -> list[dict]:
    """PSNR, SSIM and landmark distance to the real clips, beside those of a still."""
    stills = [np.repeat(clip[:1], len(clip), axis=0) for clip in pairs.true]
    rows = []
    for key, name, unit, function in (
        ("psnr", "PSNR", "dB", psnr), ("ssim", "SSIM", "", ssim),
    ):  # fmt: skip
        values, references = (
            measures.mean_measure(
                [function(*both) for both in zip(clips, pairs.true, strict=True)],
                clusters=pairs.clusters,
            )
            for clips in (pairs.made, stills)
        )
        rows.append(_row(key, name, unit, "higher", values, STILL, references))
    for key, name in (
        ("landmark", "landmark distance, five points"),
        ("mouth", "landmark distance, mouth corners"),
    ):
        if f"{key}_distance" in pairs.index:
            values, references = (
                measures.mean_measure(
                    pairs.index[f"{prefix}{key}_distance"], clusters=pairs.clusters
                )
                for prefix in ("", "still_")
            )
            rows.append(
                _row(f"{key}_distance", name, "crop px", "lower", values, STILL, references)
            )
    return rows


def distances(pairs: Pairs, features: Callable) -> list[dict]:
    """FID and KID between the generator's frames and the real ones, beside those of a still.

    The people are the same on both sides; what differs is what the generator made of them.
    """
    stills = [np.repeat(clip[:1], len(clip), axis=0) for clip in pairs.true]
    made, true, still = features(pairs.made), features(pairs.true), features(stills)
    where = f"on the features of run {OBSERVER}'s front-end"
    return [
        _row(
            key,
            f"{name} {where}",
            "",
            "lower",
            function(made, true, pairs.clusters),
            STILL,
            function(still, true, pairs.clusters),
        )
        for key, name, function in (
            ("fid", "FID", measures.fid_measure),
            ("kid", "KID", measures.kid_measure),
        )
    ]


def synchrony(pairs: Pairs, sync: Sync, sounds: Callable[[str], np.ndarray]) -> list[dict]:
    """Confidence and offset by an expert of lip synchrony, beside those of the real clips."""
    spoken = [sounds(clip_id) for clip_id in pairs.index["clip_id"]]
    made, true = (
        np.array([sync(*both) for both in zip(clips, spoken, strict=True)], float).reshape(-1, 2)
        for clips in (pairs.made, pairs.true)
    )
    mean = partial(measures.mean_measure, clusters=pairs.clusters)
    proportion = partial(measures.proportion_measure, clusters=pairs.clusters)
    return [
        _row("sync_confidence", "sync confidence of our own expert", "", "higher",
             mean(made[:, 1]), REAL, mean(true[:, 1])),
        _row("sync_offset", "absolute offset of sound and lips by that expert", "frames", "lower",
             mean(abs(made[:, 0])), REAL, mean(abs(true[:, 0]))),
        _row("in_sync", "clips whose offset is at most one frame", "", "higher",
             proportion([abs(made[:, 0]) <= 1]), REAL, proportion([abs(true[:, 0]) <= 1])),
    ]  # fmt: skip


def read_evaluations(corpus: str, generator: str, seeds: list[int]) -> dict:
    """`predictions` of measure_generator from the evaluations in the working directory."""
    sets = {"real": "val", "made": f"{generator}-{EVALUATION}"}
    return {
        run: {
            name: [
                pd.read_parquet(evaluation_folder(run, seed, corpus, path) / "predictions.parquet")
                for seed in seeds
            ]
            for name, path in sets.items()
        }
        for run in (OBSERVER, MIXED)
    }


def reading(
    predictions: dict[str, dict[str, list[pd.DataFrame]]], drawn: list[str], mixed_with: str
) -> list[dict]:
    """Reading intelligibility (TalkLip) and domain mismatch (SynthVSR, Fig. 3).

    For each recogniser its accuracy on the generator's clips, beside that on the same real clips,
    and the difference on the same clips with interval and p (see resolution.compare_rows), which
    with several trainings is the mean over them and takes them as given. Rejected clips count as
    the prediction tables count them. Raises ValueError for predictions of other clips.
    """
    rows = []
    for run, kind in ((OBSERVER, "alone"), (MIXED, f"and those of {mixed_with}")):
        made = [_ordered(table, drawn) for table in predictions[run]["made"]]
        known = made[0].index.tolist()
        real = [_ordered(table, known) for table in predictions[run]["real"]]
        if any(table.index.tolist() != known for table in [*made, *real]):
            raise ValueError(f"the predictions of {run} are of other clips; evaluate it again")
        right, truth = ([t["correct"].to_numpy(bool) for t in tables] for tables in (made, real))
        clusters = speakers_of(named_clips([t.reset_index() for t in [*made, *real]]))
        proportion = partial(measures.proportion_measure, clusters=clusters)
        name = f"accuracy of {run}, trained on real clips {kind}"
        rows.append(
            _row(f"accuracy_{run}", name, "", "higher", proportion(right), REAL, proportion(truth))
        )
        # No variance between trainings: the same ones read both sets.
        on_real, on_made = ([t.reset_index() for t in tables] for tables in (real, made))
        found = compare_rows(on_real, on_made, (0.0, 1))
        name = f"accuracy of {run} on the generator's clips minus that on the real clips"
        values = {"value": found["difference"]} | {k: found[k] for k in ("low", "high", "n", "p")}
        rows.append(
            _row(f"mismatch_{run}", name, "", "nearer to 0", values) | {"trainings": len(right)}
        )
    return rows


def _ordered(table: pd.DataFrame, clip_ids: list[str]) -> pd.DataFrame:
    """The rows of these clips, by clip_id."""
    return table[table["clip_id"].isin(clip_ids)].set_index("clip_id").sort_index()


def speed(seconds_path: str | Path) -> dict:
    """Clips a second of one process: one over the median of preparing and generating a clip.

    `device`: on what the clips were made; where that changed, those of the device of most clips.
    """
    columns = ["clip_id", "preparing", "generating", "device"]
    seconds = pd.read_csv(seconds_path, names=columns, dtype={"device": "str"})
    seconds = seconds.drop_duplicates("clip_id", keep="last")
    devices = seconds["device"].fillna("a device that is not recorded")
    device = devices.mode().iloc[0] if len(devices) else ""
    seconds = seconds[devices == device]
    found = measures.mean_measure(seconds["preparing"] + seconds["generating"], np.median)
    value, low, high = (found[k] and 1 / found[k] for k in ("value", "high", "low"))
    found |= {"value": value, "low": low, "high": high}
    name = f"clips a second, one process on {device}" if device else "clips a second, one process"
    return _row("clips_per_second", name, "1/s", "higher", found) | {"device": device}


def _row(key, name, unit, better, found: dict, reference: str = "", known: dict | None = None):
    """A measure as it stands in measures.json."""
    row = {"key": key, "name": name, "unit": unit, "better": better} | found
    return row | {"reference": {"name": reference} | known if known else None}
