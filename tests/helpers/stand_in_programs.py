"""Made-up repositories of published programs, in which misbehaving_generator.py is the script."""

import hashlib
from pathlib import Path

import numpy as np

from visemix.generators.base import generator_class

STAND_IN = Path(__file__).with_name("misbehaving_generator.py")
SCRIPTS = {
    "wav2lip": "inference.py",
    "wav2lip-gan": "inference.py",
    "sadtalker": "inference.py",
    "talklip": "inf_demo.py",
    "latentsync": "scripts/inference.py",
    "musetalk": "scripts/inference.py",
    "aniportrait": "scripts/audio2vid.py",
    "echomimic": "infer_audio2vid.py",
}
CONFIGS = ("configs/prompts/animation_audio.yaml", "configs/prompts/animation.yaml")
# What TalkLip's script imports and does before it draws.
FAKE_TORCH = """
def manual_seed(seed): pass
def load(path): return open(path).read()
"""
FAKE_DETECTOR = """
class FaceAlignment:
    def get_detections_for_batch(self, images): return [FOUND]
"""
TALKLIP = """
import face_detection, torch
assert torch.load("/home/author/TalkLip/task_state.pt") == "weights"
face_detection.FaceAlignment().get_detections_for_batch([0])
"""


def repository(folder: Path, name: str, how: str = "well") -> Path:
    """A made-up repository of a program, with weights, in which the stand-in is its script."""
    folder.mkdir(parents=True)
    for path in [*generator_class(f"external-{name}").program.weights, *CONFIGS]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("weights")
    for path in CONFIGS:
        (folder / path).write_text("weight_dtype: fp16\ntest_cases: {}\n")
    if name == "aniportrait":
        np.save(folder / "configs/inference/head_pose_temp/pose_temp.npy", np.zeros((90, 6)))
    script = "import misbehaving_generator\nmisbehaving_generator.main()\n"
    if name == "talklip":
        (folder / "face_detection/__init__.py").write_text(f"FOUND = (0, 0, 9, 9){FAKE_DETECTOR}")
        (folder / "torch.py").write_text(FAKE_TORCH)
        script = TALKLIP + script
    (folder / SCRIPTS[name]).parent.mkdir(exist_ok=True)
    (folder / SCRIPTS[name]).write_text(script)
    (folder / STAND_IN.name).write_bytes(STAND_IN.read_bytes())
    (folder / "dialect.txt").write_text(name.removesuffix("-gan"))
    (folder / "how.txt").write_text(how)
    return folder


def settings(folder: Path, python: list[str], **changes) -> dict:
    """As params.yaml gives them; sha256 of the made-up weights, where the real ones are known."""
    files = [
        path for path in folder.rglob("*") if path.is_file() and path.suffix in (".pth", ".pt")
    ]
    known = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    plain = {"repository": str(folder), "python": python, "weights": known}
    return plain | {"timeout_seconds": 600, "jobs": 2} | changes
