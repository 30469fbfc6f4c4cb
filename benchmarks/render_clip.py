"""CPU cost of one clip of the embedded corpus by stage, as a ratio to its H.264 + AAC encoding.

    OMP_NUM_THREADS=1 python benchmarks/render_clip.py [--clips 5]

Encoding is the reference: every way of making a clip must pay it, and it is somebody else's code.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from visemix.corpora.miniature.clip import make_clip, random_motion, speech_weights
from visemix.corpora.miniature.sentences import CLIP_FRAMES, speak_word
from visemix.corpora.miniature.speakers import random_speaker
from visemix.heads.appearance import random_background, random_light
from visemix.heads.renderer import SAMPLES, Renderer
from visemix.media import write_clip

REFERENCE = "encode"
SIZE = 256


def cpu_seconds() -> float:
    """CPU time of this process and of its finished children (the speech engine)."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Stopwatch(dict):
    """CPU seconds by stage."""

    def __call__(self, stage: str, function, *arguments):
        start = cpu_seconds()
        result = function(*arguments)
        self[stage] = self.get(stage, 0.0) + cpu_seconds() - start
        return result


def fill_all(renderer: Renderer, placed) -> None:
    """The z-buffer of all frames, without shading."""
    nearest = np.empty((SAMPLES * SIZE, SAMPLES * SIZE), np.float32)
    seen = np.empty(nearest.shape, np.int32)
    for frame in range(CLIP_FRAMES):
        renderer.find_visible(placed, frame, nearest, seen)


def time_clip(renderer: Renderer, number: int, folder: Path) -> Stopwatch:
    """Time the stages one by one, then the whole clip."""
    clock, rng = Stopwatch(), np.random.default_rng([7, number])
    speaker = random_speaker(rng, renderer.head)
    spoken = clock("speech", speak_word, "about", speaker.voice, rng)
    weights = clock("articulation", speech_weights, spoken, renderer.head.unit_names, speaker.style)
    person = clock("person: texture and hair", renderer.person, speaker.identity, speaker.look)
    motion = random_motion(rng, CLIP_FRAMES, SIZE)
    background = clock("background", random_background, rng, SIZE)
    view = (motion.gaze, motion.scale, motion.centre)
    placed = clock("geometry", renderer.place, person, weights, motion.pose, *view)
    clock("z-buffer", fill_all, renderer, placed)
    draw = (person, weights, motion.pose, random_light(rng), background, *view, 0.005)
    frames, _ = clock("shading", renderer.render, *draw)
    clock["shading"] -= clock["geometry"] + clock["z-buffer"]
    clock(REFERENCE, write_clip, folder / "clip.mp4", frames, spoken.sound)
    whole = clock("whole clip", make_clip, renderer, speaker, "about", rng)
    clock("whole clip", write_clip, folder / "whole.mp4", whole.frames, whole.sound)
    clock("whole clip", lambda: np.savez_compressed(folder / "truth.npz", **whole.truth))
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    renderer = Renderer()
    with tempfile.TemporaryDirectory() as folder:
        time_clip(renderer, 0, Path(folder))  # compiles
        clocks = [time_clip(renderer, i, Path(folder)) for i in range(1, arguments.clips + 1)]
    median = {stage: float(np.median([c[stage] for c in clocks])) for stage in clocks[0]}
    print(f"{'stage':26}{'CPU s a clip':>13}{'x ' + REFERENCE:>10}")
    for stage, seconds in median.items():
        print(f"{stage:26}{seconds:13.3f}{seconds / median[REFERENCE]:10.2f}")


if __name__ == "__main__":
    main()
