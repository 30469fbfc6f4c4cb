"""Clips of a run, for the report: which were used, how surely faces were found, the worst."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from visemix.clips.shards import CropSet, open_crops, read_rejects
from visemix.papers.cells import TEST_SETS
from visemix.report import figures
from visemix.report.site import HOME, Site, add_picture, write_page
from visemix.synthesis.audio_visual_sync import describe, read_lag

WORST = 3  # clips of each set on the contact sheet


def clip_rows(parameters: dict) -> list[dict]:
    """What became of the clips: for each set, how many were used and why others were not.

    Entries {name, clips, used, speakers, reasons}; raises FileNotFoundError naming what is missing.
    """
    corpus, generator = parameters["corpus"]["name"], parameters["synthesis"]["generator"]
    manifest = pd.read_parquet(f"data/manifests/{corpus}.parquet")
    sets = {split: manifest[manifest.split == split] for split in ("train", "val", "test")}
    sets["pose"] = pd.read_parquet(f"data/manifests/{corpus}-pose.parquet")
    rows = []
    for name, clips in sets.items():
        crops = open_crops(Path("data/crops") / f"{corpus}-{name}")
        speakers = clips.speaker.replace("", pd.NA).nunique() or "not known"
        reasons = _reasons(read_rejects(crops.folder))
        rows.append((f"{corpus} {name}", len(clips), len(crops.index), speakers, reasons))
    folder = Path(f"data/synthesis/{corpus}-{generator}")
    records = pd.read_parquet(folder / "records.parquet")
    excluded = pd.read_parquet(folder / "excluded_portraits.parquet")
    used, portraits = (records.status == "accepted").sum(), records.portrait.nunique()
    rejected = _reasons(records[records.status == "rejected"])
    reasons = "; ".join(filter(None, [describe(read_lag(folder / "lag.json")), rejected]))
    name = f"synthetic ({generator}), training only"
    rows.append((name, len(records), used, portraits, reasons))
    name, looked_at = "portraits looked at for the synthetic clips", portraits + len(excluded)
    rows.append((name, looked_at, portraits, portraits, _reasons(excluded)))
    keys = ("name", "clips", "used", "speakers", "reasons")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _reasons(rejects: pd.DataFrame) -> str:
    return "; ".join(f"{n} x {reason}" for reason, n in Counter(rejects.reason).most_common(5))


def crop_sets(corpus: str, generator: str, folder: str | Path = "data/crops") -> dict[str, CropSet]:
    """The crop sets of a run by the name the report gives them."""
    names = {f"{corpus} {split}": f"{corpus}-{split}" for split in ("train", "val", *TEST_SETS)}
    names[f"synthetic ({generator})"] = f"{corpus}-{generator}"
    return {name: open_crops(Path(folder) / path) for name, path in names.items()}


def quality_rows(sets: dict[str, CropSet]) -> list[dict]:
    """A row a set: clips, those cropped, frames with a face, projected, score quantiles, rejects.

    `scores` (least, 5%, median) is None where no detector was asked or nothing was cropped;
    `frames_found` is per cent of the cropped clips' frames; `projected` is the number of clips
    cropped by the points of a fitted head, None for sets without one; `reasons` are (reason,
    clips) pairs, the most frequent first.
    """
    rows = []
    for name, crops in sets.items():
        index, rejects = crops.index, read_rejects(crops.folder)
        scores, frames = scores_of(index), int(index["length"].sum())
        missing = index["interpolated_frames"].sum() if "interpolated_frames" in index else 0
        rows.append(
            {
                "name": name,
                "clips": len(index) + len(rejects),
                "cropped": len(index),
                "frames": frames,
                "frames_found": 100 * (1 - missing / frames) if frames else None,
                "projected": int(index["projected"].sum()) if "projected" in index else None,
                "scores": np.quantile(scores, [0, 0.05, 0.5]).tolist() if len(scores) else None,
                "reasons": Counter(rejects["reason"]).most_common(),
            }
        )
    return rows


def scores_of(index: pd.DataFrame) -> pd.Series:
    """Mean detector score by row of the index, of the clips whose crops the detector placed."""
    return index.get("detector_score", pd.Series(dtype=float)).dropna()


def score_figure(sets: dict[str, CropSet]) -> bytes | None:
    """The distribution of the scores of all sets, or None where no set has any."""
    scores = {name: scores_of(crops.index) for name, crops in sets.items()}
    scores = {name: values for name, values in scores.items() if len(values)}
    return figures.score_distribution(scores) if scores else None


def worst_sheet(sets: dict[str, CropSet], clips: int = WORST) -> bytes | None:
    """Crops of the worst-scored clips of each set, the worst first; None where there are none."""
    rows = []
    for crops in sets.values():
        scores = scores_of(crops.index)
        for row, score in scores.sort_values(kind="stable").head(clips).items():
            title = f"{crops.index.clip_id.iloc[row]}\nscore {score:.4f}"
            rows += [(title, clip) for clip in crops.read([row])]
    return figures.contact_sheet(rows) if rows else None


def write_page_of_clips(site: Site, parameters: dict) -> None:
    """Write quality.html: what became of the clips, and how well the faces were found."""
    sets = crop_sets(parameters["corpus"]["name"], parameters["synthesis"]["generator"])
    pictures = {"scores": score_figure(sets), "worst": worst_sheet(sets)}
    facts: dict = {
        name: png and add_picture(site, f"crops-{name}", png) for name, png in pictures.items()
    }
    facts |= {"data": clip_rows(parameters), "rows": quality_rows(sets)}
    title = "Clips and their quality"
    write_page(site, "quality.html", "quality.html", title, [HOME], **facts)
