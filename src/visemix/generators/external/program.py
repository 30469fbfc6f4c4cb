"""A published program as a generator: the five functions of the contract, made from a description.

    version, build, load, prepare, generate = generator_of(PROGRAM)

at the end of a program's file. `configure` comes before: it checks what the user has installed and
writes settings and findings to external.json beside the records, where other processes read them.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path

import numpy as np
import yaml

from visemix.faces.retinaface import RetinaFace
from visemix.generators.checks import GenerationError
from visemix.generators.contract import Utterance
from visemix.generators.external import GENERATORS, PREFIX, repairs, runner
from visemix.generators.external.installation import Weight, inspect, words
from visemix.run.atomic import sha256_bytes, write_json
from visemix.run.provenance import code_digest

RECORD = "external.json"  # settings and what was found installed
RUNS = "external-runs.jsonl"  # a line a run: seed, seconds, what came out
_identities: dict[str, str] = {}  # of the programs that this process has configured


@dataclass(frozen=True)
class Run:
    """One clip to be made; paths are relative to the working copy, which is `folder`."""

    folder: Path
    seed: int  # below 2**31
    picture: str = f"{runner.JOB}/picture.png"
    sound: str = f"{runner.JOB}/sound.wav"  # 16 kHz mono
    video: str = f"{runner.JOB}/still.mp4"  # only for programs that want to be driven by one
    output: str = f"{runner.JOB}/out"  # an empty folder


@dataclass(frozen=True)
class Program:
    """What a published program is and how it is driven."""

    name: str
    source: str  # of its code
    commit: str  # that the command line was written for
    licence: str  # and what follows from it
    environment: str  # the pins that decide
    weights: dict[str, Weight]  # by path in the repository
    command: Callable[[Run], list[str]]  # script.py or -m module, and arguments
    output: str  # pattern of the one new video, in the working copy
    repairs: tuple[str, ...]  # in words, for the record
    scratch: tuple[str, ...] = ()  # top-level folders of the repository that it writes to
    picture_side: int = 256  # px
    driven_by_video: bool = False
    extra_video_frames: int = 0  # that the video must be longer than the sound
    tail: int = 5  # frames of silence after the sound
    block: int = 1  # frames of which the padded sound has a multiple
    panels: int = 1  # side by side in the output, the last of which is the result
    prelude: str = ""  # Python that runs in the program's process before it

    def configure(self, settings: dict, folder: str | PathLike) -> None:
        """Check an installation and write its record into `folder`, which `load` will read.

        `settings` as in params.yaml: repository, python, weights, timeout_seconds, jobs. The
        versions of the clips' records follow from the record: repository, environment and weights
        decide pixels. Raises InstallationError with everything that is missing.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        found = inspect(self, settings)
        about = {"source": self.source, "licence": self.licence, "repairs": self.repairs}
        write_json(folder / RECORD, {"settings": settings, "found": found} | about)
        _identities[self.name] = sha256_bytes(json.dumps(found, sort_keys=True).encode())[:16]


@dataclass(frozen=True)
class Model:
    """What a process needs to make clips."""

    settings: dict
    detector: RetinaFace
    folder: Path


@dataclass(frozen=True)
class Portrait:
    """A picture cut to a square around the face, (side, side, 3) uint8 RGB, and its file's name."""

    picture: np.ndarray
    name: str


def generator_of(program: Program) -> tuple[Callable, Callable, Callable, Callable, Callable]:
    """The contract's version, build, load, prepare and generate of a program."""

    def version() -> str:
        """Digest of our code, and of what `configure` found installed."""
        code = code_digest(GENERATORS[PREFIX + program.name])
        return f"{code}-{_identities.get(program.name, 'not-configured')}"

    def build(folder: Path, workers: int = 1) -> None:
        """Nothing to make. Raises FileNotFoundError before `configure`."""
        _record(folder)

    def load(folder: Path) -> Model:
        """Settings and face detector. Raises FileNotFoundError before `configure`."""
        return Model(_record(folder)["settings"], RetinaFace(threads=1), Path(folder))

    def prepare(model: Model, picture: Path) -> Portrait:
        """The face of a picture, cut out. Raises GenerationError if it shows no usable face."""
        picture = Path(picture)
        square = repairs.square_picture(picture, program.picture_side, model.detector)
        return Portrait(square, picture.name)

    def generate(
        model: Model, portrait: Portrait, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray:
        """Frames (n_frames, H, W, 3) uint8 RGB at 25 fps of the portrait speaking.

        Raises GenerationError with the program's last words.
        """
        return make_clip(program, model, portrait, utterance.sound, n_frames, seed)

    return version, build, load, prepare, generate


def make_clip(
    program: Program,
    model: Model,
    portrait: Portrait,
    sound: np.ndarray,
    n_frames: int,
    seed: int,
) -> np.ndarray:
    """Run a program for one clip, when it is its turn, and log the run; see generate."""
    with runner.slot(program.name, model.settings["jobs"]):
        start, problem = time.monotonic(), ""
        try:
            return _frames(program, model, portrait.picture, sound, n_frames, seed)
        except GenerationError as error:
            problem = f"{program.name}: {error}"
            raise GenerationError(problem) from error
        finally:
            seconds = round(time.monotonic() - start, 3)
            line = {"picture": portrait.name, "seed": seed, "seconds": seconds, "problem": problem}
            _log(model.folder / RUNS, line)


def _frames(
    program: Program,
    model: Model,
    picture: np.ndarray,
    sound: np.ndarray,
    n_frames: int,
    seed: int,
) -> np.ndarray:
    """Run a program for one clip and repair what comes out."""
    settings = model.settings
    repository = Path(settings["repository"])
    with runner.working_copy(repository, program.scratch, model.folder) as folder:
        run = Run(folder, seed % 2**31)
        _write_inputs(program, run, picture, sound, n_frames)
        command = command_line(program, run, settings)
        before = runner.snapshot(folder, program.output)
        runner.run(command, folder, settings["timeout_seconds"])
        frames = repairs.at_25_fps(runner.new_video(folder, program.output, before), n_frames)
    if program.panels > 1:
        return repairs.last_panel(frames, program.panels, program.picture_side)
    return frames


def command_line(program: Program, run: Run, settings: dict) -> list[str]:
    """The whole command of a run: environment, launcher, script and arguments."""
    launcher = run.folder / runner.JOB / "launch.py"
    launcher.write_bytes((files("visemix.generators.external") / "launch.py").read_bytes())
    prelude = "-"
    if program.prelude:
        prelude = f"{runner.JOB}/prelude.py"
        (run.folder / prelude).write_text(program.prelude)
    python = words(settings, run.folder)
    return [*python, f"{runner.JOB}/launch.py", str(run.seed), prelude, *program.command(run)]


def write_config(run: Run, published: str, changes: dict) -> str:
    """Write a published YAML file with changed keys; its path, for the command line.

    Raises GenerationError if the published one cannot be read.
    """
    try:
        config = yaml.safe_load((run.folder / published).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise GenerationError(f"{published} of the repository cannot be read: {error}") from error
    path = f"{runner.JOB}/config.yaml"
    (run.folder / path).write_text(yaml.safe_dump(config | changes))
    return path


def _write_inputs(
    program: Program, run: Run, picture: np.ndarray, sound: np.ndarray, n_frames: int
) -> None:
    """Picture, sound and, if the program wants one, a video of the still picture."""
    length = -(-(n_frames + program.tail) // program.block) * program.block
    padded = repairs.padded_sound(sound, length, run.seed)
    (run.folder / run.output).mkdir()
    repairs.write_picture(run.folder / run.picture, picture)
    repairs.write_sound(run.folder / run.sound, padded)
    if program.driven_by_video:
        frames = length + program.extra_video_frames
        repairs.write_still_video(run.folder / run.video, picture, padded, frames)


def _log(path: Path, line: dict) -> None:
    """Append a line in one write, so that lines of several processes do not mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


@lru_cache(maxsize=8)
def _record(folder: Path) -> dict:
    path = Path(folder) / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; Program.configure writes it")
    return json.loads(path.read_text())
