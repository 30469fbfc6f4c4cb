"""Which of the faces is the speaker, and where that face is in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import PchipInterpolator

from visemix.faces.detection import Face, overlap

_SAME_FACE = 0.3  # least overlap (intersection over union) of a face with its last box


class CropError(ValueError):
    """No mouth crops can be made of a clip; the message is the reason."""


@dataclass(frozen=True)
class Track:
    """One face through a clip: frame numbers in rising order, and the face in each of them."""

    frames: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)

    def landmarks(self) -> np.ndarray:
        """(N, 5, 2) float64 px, one entry for each frame in which the face was found."""
        return np.array([f.landmarks for f in self.faces], np.float64).reshape(-1, 5, 2)


def follow_faces(detections: Sequence[tuple[int, list[Face]]]) -> list[Track]:
    """Join the faces of (frame number, faces) pairs to tracks by the overlap of their boxes.

    A face continues the track whose last box it overlaps most, at least by 0.3; pairs are served
    in the order of their overlap, and a track that misses a frame waits where it was last seen.
    """
    tracks: list[Track] = []
    for frame, faces in detections:
        pairs = [
            (overlap(track.faces[-1].box, face.box), t, f)
            for t, track in enumerate(tracks)
            for f, face in enumerate(faces)
        ]
        used_tracks, used_faces = set(), set()
        for common, t, f in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
            if common >= _SAME_FACE and t not in used_tracks and f not in used_faces:
                tracks[t].frames.append(frame)
                tracks[t].faces.append(faces[f])
                used_tracks.add(t)
                used_faces.add(f)
        tracks += [Track([frame], [f]) for i, f in enumerate(faces) if i not in used_faces]
    return tracks


def choose_speaker(tracks: Sequence[Track], height: int, width: int) -> Track:
    """The largest central track: the sum over its frames of face area, weighed by centrality.

    The weight falls as a Gaussian of the face's distance from the middle of the frame (height,
    width in px), with a standard deviation of a quarter of the frame's longer side. An empty
    track where there is none.
    """
    if not tracks:
        return Track()
    middle, spread = np.array([width, height]) / 2, max(height, width) / 4

    def weight(track: Track) -> float:
        boxes = np.array([f.box for f in track.faces], np.float64)
        distance = np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1) / spread
        area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        return float((area * np.exp(-(distance**2) / 2)).sum())

    return max(tracks, key=weight)


def moves_slowly(track: Track) -> bool:
    """Whether no landmark moves by more than a tenth of a face between entries of the track."""
    if len(track.faces) < 2:
        return True
    widths = np.array([f.box[2] - f.box[0] for f in track.faces])
    steps = np.linalg.norm(np.diff(track.landmarks(), axis=0), axis=2).max(axis=1)
    return bool((steps <= 0.1 * widths[1:]).all())


def require_frames(track: Track, total: int, max_missing: float) -> None:
    """Raise CropError if the face is missing in more than that proportion of `total` frames."""
    found = len(track.frames)
    if not found or total - found > max_missing * total:
        raise CropError(
            f"face found in only {found} of {total} frames "
            f"(at most {max_missing:.0%} may be missing)"
        )


def fill_gaps(track: Track, total: int) -> np.ndarray:
    """Landmarks (total, 5, 2) float64 px: gaps interpolated, the ends replicated.

    Monotone cubics (PCHIP: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 1984), which follow a
    mouth that opens and closes better than straight lines do, and never overshoot.
    """
    known = track.landmarks()
    if len(known) == 1:
        return np.repeat(known, total, axis=0)
    frames = np.clip(np.arange(total), track.frames[0], track.frames[-1])
    return PchipInterpolator(track.frames, known)(frames)


def smooth(landmarks: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window of `window` frames (odd), narrowing evenly towards the ends.

    landmarks (T, ...) float; a movement at constant speed passes unchanged. 1 switches it off.
    Raises ValueError for an even or non-positive window.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"smoothing window is {window}; take an odd number of frames")
    total = len(landmarks)
    sides = [min(window // 2, i, total - 1 - i) for i in range(total)]
    return np.stack([landmarks[i - s : i + s + 1].mean(axis=0) for i, s in enumerate(sides)])
