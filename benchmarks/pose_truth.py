"""How true is the pose-augmented test set? Only a rendered corpus can tell.

    python benchmarks/pose_truth.py --clips 16 --sheet sheet.png

Each clip is rendered as it is and once more with its head turned. The first is turned by
`pose.clip.crop_turned` and its mouth crops are compared with those of the second, which go through
the same detector; `none` compares the crops of the clip as it is. SSIM over all frames, mean over
clips with the standard error, and the proportion of clips in which turning came nearer to the truth
than leaving the head as it is. Then: the pose that is fitted to heads of known pose.
"""

import argparse
import time

import cv2
import numpy as np
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from visemix.corpora.miniature.clip import make_clip
from visemix.corpora.miniature.speakers import random_speaker
from visemix.faces.crops import CropError, crop_at, crop_clip
from visemix.faces.retinaface import RetinaFace
from visemix.heads.fit import fit_clip
from visemix.heads.model import load_head
from visemix.heads.renderer import Renderer
from visemix.pose.clip import crop_turned

TURNS = [(15, 0), (30, 0), (45, 0), (60, 0), (0, 15), (0, 30), (0, 45), (0, 60)]
CROPS = {"eye_to_mouth": 48.0}  # px, for which the tables of README.md were measured
TURNS += [(0, -15), (0, -30), (0, -45), (0, -60), (15, 15), (30, 30), (45, 45), (60, 60)]


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM of two sets of crops (T, S, S) uint8."""
    a, b = (torch.from_numpy(x)[:, None].float() for x in (a, b))
    return float(structural_similarity_index_measure(a, b, data_range=255.0))


def crop_rendered(clip, detector):
    """Crops of a rendered clip, at its exact points where the detector does not find the face."""
    try:
        return crop_clip(clip.frames, detector, **CROPS)
    except CropError:
        return crop_at(clip.frames, clip.truth["five_points"], **CROPS)


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--sheet", help="picture of the middle frames: true above made, by clip")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    renderer, detector, head = Renderer(), RetinaFace(), load_head()
    scores, errors, rows, seconds = [], [], [], []
    for number in range(arguments.clips):
        speaker = random_speaker(np.random.default_rng([800, number]), head)

        def render(turn, speaker=speaker, number=number):
            rng = np.random.default_rng([801, number])
            return make_clip(renderer, speaker, "people", rng, turn=tuple(np.radians(turn)))

        clip = render((0, 0))
        still = crop_clip(clip.frames, detector, **CROPS)
        fitted = np.array([fit.angles for fit in fit_clip(head, still.landmarks)])
        errors.append(np.degrees((fitted - clip.truth["pose"]).mean(0)))
        sides = np.random.default_rng([802, number]).choice([-1, 1], len(TURNS))
        line, sheet = [], [[still.crops[14]], [still.crops[14]]]
        for (yaw, pitch), side in zip(TURNS, sides, strict=True):
            true = crop_rendered(render((yaw * side, pitch)), detector)
            start = time.process_time()
            made = crop_turned(clip.frames, detector, yaw * side, pitch, **CROPS)
            seconds.append(time.process_time() - start)
            line.append([similarity(true.crops, x.crops) for x in (made, still)])
            sheet[0].append(true.crops[14])
            sheet[1].append(made.crops[14])
        scores.append(line)
        rows += [np.hstack(row) for row in sheet]
    report(np.array(scores), np.array(errors), np.median(seconds))
    if arguments.sheet:
        cv2.imwrite(arguments.sheet, np.vstack(rows[:16]))


def report(scores: np.ndarray, errors: np.ndarray, seconds: float) -> None:
    """scores (clips, turns, turned | none), errors (clips, 3) degrees."""
    print(f"{len(scores)} clips; {seconds:.2f} CPU s to turn and crop a clip without decoding")
    print("| yaw | pitch | turned | none | nearer |\n|---|---|---|---|---|")
    for turn, score in zip(TURNS, scores.transpose(1, 0, 2), strict=True):
        mean, error = score.mean(0), score.std(0, ddof=1) / np.sqrt(len(score))
        cells = [f"{m:.2f} +- {e:.2f}" for m, e in zip(mean, error, strict=True)]
        nearer = 100 * (score[:, 0] > score[:, 1]).mean()
        print(f"| {turn[0]} | {turn[1]} | {cells[0]} | {cells[1]} | {nearer:.0f}% |")
    for name, values in zip(("yaw", "pitch", "roll"), errors.T, strict=True):
        print(
            f"fitted {name}: off by {np.abs(values).mean():.1f} degrees (mean of absolute errors), "
            f"bias {values.mean():+.1f}, sd {values.std(ddof=1):.1f}, n = {len(values)}"
        )


if __name__ == "__main__":
    main()
