"""Contact sheet of the pose augmentation: some heads of the test split, turned by every angle."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from visemix.faces.crops import crop_clip, split_parameters
from visemix.faces.detectors import load_detector
from visemix.media import read_clip
from visemix.pose.clip import crop_turned, turn_clip
from visemix.run.atomic import atomic_path

HEIGHT = 128  # px of a frame on the sheet; mouth crops are as large as they are
FRAMES = 5  # around the middle of a clip that are worked on
LABEL = 18  # px of the line of text above a row
AXES = {  # row -> sign of yaw and pitch
    "yaw": (1, 0), "-yaw": (-1, 0), "pitch": (0, 1), "-pitch": (0, -1), "yaw and pitch": (1, 1),
}  # fmt: skip


def write_sheet(
    path: str | os.PathLike,
    manifest: pd.DataFrame,
    media_root: str | os.PathLike,
    angles: Sequence[float],
    parameters: dict | None = None,
    clips: int = 2,
) -> None:
    """Write a PNG: for the first clips with distinct labels of the test split five rows, an axis
    each, of the middle frame and its mouth crop, as it is and turned by each angle (degrees).

    Clips without a usable face are passed over by the next. `parameters` as for crop_set. Raises
    ValueError where no clip can be shown.
    """
    usable = manifest[(manifest["split"] == "test") & (manifest["status"] == "ok")]
    parameters, chosen = split_parameters(parameters or {})
    detector = load_detector(**chosen)
    rows: list[np.ndarray] = []
    for clip in usable.drop_duplicates("label").sort_values("clip_id").itertuples():
        if len(rows) == clips * len(AXES):
            break
        try:
            frames = _middle(read_clip(Path(media_root) / clip.media).frames)
            rows += _rows(clip.clip_id, frames, detector, angles, parameters)
        except ValueError:  # MediaError, CropError: such clips are listed among the rejects
            continue
    if not rows:
        raise ValueError("no clip of the test split has a face that can be turned")
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, [(0, 0), (0, width - row.shape[1]), (0, 0)]) for row in rows]
    with atomic_path(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", np.vstack(rows)[..., ::-1])[1].tobytes())


def _middle(frames: np.ndarray) -> np.ndarray:
    start = (len(frames) - FRAMES) // 2
    return frames[max(start, 0) :][:FRAMES]


def _rows(clip_id: str, frames, detector, angles, parameters: dict) -> list[np.ndarray]:
    """Pictures (LABEL + HEIGHT, W, 3) uint8 RGB, one an axis."""
    still = crop_clip(frames, detector, **parameters | {"alignment": "retinaface"})
    assert still.landmarks is not None
    rows = []
    for name, (yaw, pitch) in AXES.items():
        tiles = [_tile(frames, still.crops)]
        for angle in angles:
            turned, _ = turn_clip(frames, still.landmarks, yaw * angle, pitch * angle)
            crops = crop_turned(frames, detector, yaw * angle, pitch * angle, **parameters).crops
            tiles.append(_tile(turned, crops))
        row = np.pad(np.hstack(tiles), [(LABEL, 0), (0, 0), (0, 0)])
        text = f"{clip_id}  {name}: 0, {', '.join(f'{angle:g}' for angle in angles)} degrees"
        cv2.putText(
            row, text, (4, LABEL - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (230,) * 3, 1, cv2.LINE_AA
        )
        rows.append(row)
    return rows


def _tile(frames: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """The middle frame, HEIGHT px high, with its mouth crop on the right."""
    number = len(frames) // 2
    height, width = frames.shape[1:3]
    frame = cv2.resize(frames[number], (round(width * HEIGHT / height), HEIGHT))
    crop = np.zeros((HEIGHT, crops.shape[2] + 8, 3), np.uint8)
    crop[: crops.shape[1], 2:-6] = crops[number][:HEIGHT, :, None]
    return np.hstack([frame, crop])
