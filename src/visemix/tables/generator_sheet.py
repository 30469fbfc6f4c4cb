"""Clips of generators below the real ones, frame by frame, as one picture."""

from pathlib import Path

import cv2
import numpy as np

from visemix.clips.shards import open_crops, read_rejects

CLIPS, EVERY, LABEL = 6, 2, 18  # clips on a sheet, n-th frames shown, px of a line of text


def sheet(made: dict[str, str | Path], real: str | Path, clips: int = CLIPS) -> bytes:
    """PNG: for the first drawn clip of each of some words the real crops and, below, generators'.

    made: {generator: its evaluation set}; real: the real crops. The same clips and frames for every
    generator, at the same place of the sheet; a rejected clip is an empty row with the reason.
    """
    with open_crops(real) as crops:
        sets = {name: open_crops(folder) for name, folder in made.items()}
        reasons = {
            name: read_rejects(folder).set_index("clip_id")["reason"].to_dict()
            for name, folder in made.items()
        }
        first = next(iter(sets))
        drawn = set(sets[first].index["clip_id"]) | set(reasons[first])
        chosen = crops.index[crops.index["clip_id"].isin(drawn)].groupby("label").head(1)
        rows = []
        for clip in chosen.sort_values("label").head(clips).itertuples():
            title = f"{clip.label}   {clip.clip_id}"
            true = crops.read([clip.Index])[0][::EVERY]
            rows.append(_row(true, f"{title}   real"))
            for name, crop_set in sets.items():
                at = np.flatnonzero(crop_set.index["clip_id"] == clip.clip_id)
                why = (
                    "" if len(at) else f": rejected, {reasons[name].get(clip.clip_id, 'not drawn')}"
                )
                shown_crops = crop_set.read(at)[0][::EVERY] if len(at) else np.zeros_like(true)
                rows.append(_row(shown_crops, f"{title}   {name}{why}"))
    for crop_set in sets.values():
        crop_set.close()
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, [(0, 0), (0, width - row.shape[1])]) for row in rows]
    return cv2.imencode(".png", np.vstack(rows))[1].tobytes()


def _row(crops: np.ndarray, text: str) -> np.ndarray:
    """Crops (T, 96, 96) side by side, (LABEL + 96, T * 96), with a line of text above."""
    row = np.pad(np.hstack(list(crops)), [(LABEL, 0), (0, 0)])
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(row, text, (4, LABEL - 5), font, 0.42, 230, 1, cv2.LINE_AA)
    return row
