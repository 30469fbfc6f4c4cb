"""Frames a second from video to stored mouth crops, against the usual way, on one core.

    python benchmarks/crops.py FOLDER [--clips 24] [--repeats 3]

FOLDER is searched for .mp4 and .mpg files; the first --clips of them are cropped by both, in
alternation, and the best of --repeats runs counts (CPU seconds of this process).

The usual way, as in published lip-reading repositories: OpenCV's VideoCapture frame by frame, the
same detector called for each frame, landmarks averaged over a window, one similarity warp a frame,
and one compressed npz file for each clip.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from visemix.clips.shard_writer import CropRecord, write_crops
from visemix.clips.shards import open_crops
from visemix.faces.alignment import align
from visemix.faces.crops import crop_clip
from visemix.faces.face_tracks import smooth
from visemix.faces.retinaface import RetinaFace
from visemix.media import read_clip, read_video


def ours(paths: list[Path], folder: Path, detector: RetinaFace, **parameters) -> None:
    def records():
        for number, path in enumerate(paths):
            mouth = crop_clip(read_video(path), detector, **parameters)
            yield CropRecord(f"{number:06d}", "", mouth.crops, mouth.quality)

    write_crops(folder, records(), parameters)


def usual(paths: list[Path], folder: Path, detector: RetinaFace) -> None:
    folder.mkdir(parents=True)
    for number, path in enumerate(paths):
        frames, landmarks = [], []
        capture = cv2.VideoCapture(str(path))
        while True:
            there, frame = capture.read()
            if not there:
                break
            frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            (faces,) = detector.detect(frame[None])
            frames.append(frame)
            landmarks.append(max(faces, key=lambda f: np.prod(f.box[2:] - f.box[:2])).landmarks)
        matrices = align(smooth(np.stack(landmarks), 5), 96, 64).matrices
        crops = [
            cv2.warpAffine(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), m, (96, 96))
            for f, m in zip(frames, matrices, strict=True)
        ]
        np.savez_compressed(folder / f"{number:06d}.npz", data=np.stack(crops))


def best_of(runs: dict[str, Callable[[Path], None]], repeats: int) -> dict[str, float]:
    """Least CPU seconds of each way; the ways take turns, so that a busy machine hits all alike."""
    best = dict.fromkeys(runs, float("inf"))
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(repeats):
            for name, run in runs.items():
                folder = Path(scratch) / "out"
                started = time.process_time()
                run(folder)
                best[name] = min(best[name], time.process_time() - started)
                shutil.rmtree(folder)
    return best


def stages(paths: list[Path], detector: RetinaFace) -> dict[str, float]:
    """CPU milliseconds a frame of decoding and of detection alone (every frame)."""
    started = time.process_time()
    clips = [read_clip(path).frames for path in paths]
    decoded = time.process_time()
    for frames in clips:
        detector.detect(frames)
    detected = time.process_time()
    total = sum(map(len, clips)) / 1000
    return {"decode": (decoded - started) / total, "detect": (detected - decoded) / total}


def read_rate(folder: Path, clips: int = 1024, batch: int = 64) -> float:
    """Clips a CPU second, read in random order into a reused batch; 274 MB, so not from a cache."""
    pixels = np.random.default_rng(0).integers(0, 256, (29, 96, 96), dtype=np.uint8)
    write_crops(folder, (CropRecord(f"{n:06d}", "", pixels) for n in range(clips)), {})
    with open_crops(folder) as crops:
        rng, out = np.random.default_rng(0), np.empty((batch, 29, 96, 96), np.uint8)
        started, rounds = time.process_time(), 100
        for _ in range(rounds):
            crops.read(rng.choice(clips, batch, replace=False), out)
        return rounds * batch / (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    found = (p for p in arguments.folder.rglob("*") if p.suffix in (".mp4", ".mpg"))
    paths = sorted(found)[: arguments.clips]
    if not paths:
        parser.error(f"{arguments.folder}: no .mp4 or .mpg file in it")
    cv2.setNumThreads(1)
    detector = RetinaFace(threads=1)
    total = sum(len(read_clip(path).frames) for path in paths)
    runs = {
        "visemix": lambda folder: ours(paths, folder, detector),
        "visemix, every frame looked at": lambda f: ours(paths, f, detector, detect_every=1),
        "usual way": lambda folder: usual(paths, folder, detector),
    }
    seconds = best_of(runs, arguments.repeats)
    print(f"{len(paths)} clips, {total} frames, {detector.provider}, one thread, best CPU time")
    for name, value in seconds.items():
        ratio = seconds["usual way"] / value
        print(f"{name:32s} {total / value:7.0f} frames/s {value / total * 1e3:6.2f} ms/frame"
              f" {ratio:5.2f} x the usual way")  # fmt: skip
    for name, value in stages(paths, detector).items():
        print(
            f"{name + ' alone, every frame':32s} {1e3 / value:7.0f} frames/s {value:6.2f} ms/frame"
        )
    with tempfile.TemporaryDirectory() as scratch:
        rate = read_rate(Path(scratch))
    print(f"reading crops back, random order, batches of 64: {rate:.0f} clips/s")


if __name__ == "__main__":
    main()
