"""A published program as a generator.

    GENERATOR = generator_of(PROGRAM, __name__)

at the end of a program's file. `configure` comes before: it checks what the user has installed and
writes settings and findings to external.json beside the records, where other processes read them.
"""

import json
import os
import time
from dataclasses import dataclass
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import ClassVar

import numpy as np
import yaml

from visemix.faces.retinaface import RetinaFace
from visemix.generators.base import GenerationError, Generator, Utterance
from visemix.generators.external import repairs, runner
from visemix.generators.external.description import JOB, Program, Run
from visemix.generators.external.installation import inspect, words
from visemix.run.atomic import sha256_bytes, write_json

RECORD = "external.json"  # settings and what was found installed
RUNS = "external-runs.jsonl"  # a line a run: seed, seconds, what came out
_identities: dict[str, str] = {}  # of the programs that this process has configured


@dataclass(frozen=True)
class Portrait:
    """A picture cut to a square around the face, (side, side, 3) uint8 RGB, and its file's name."""

    picture: np.ndarray
    name: str


class ExternalGenerator(Generator):
    """Settings and a face detector; each clip is a run of the program."""

    program: ClassVar[Program]
    place = "the device that its program takes"

    def __init__(self, folder: Path, device: str = "cpu"):
        self.folder, self.settings = Path(folder), _record(folder)["settings"]
        self.detector = RetinaFace(threads=1)

    @classmethod
    def configure(cls, settings: dict, folder: str | PathLike) -> None:
        """Check an installation and write its record into `folder`, where it is loaded from.

        `settings` as in params.yaml: repository, python, weights, timeout_seconds, jobs. The
        versions of the clips' records follow from the record: repository, environment and weights
        decide pixels. Raises InstallationError with everything that is missing.
        """
        folder, program = Path(folder), cls.program
        folder.mkdir(parents=True, exist_ok=True)
        found = inspect(program, settings)
        about = {"source": program.source, "licence": program.licence, "repairs": program.repairs}
        write_json(folder / RECORD, {"settings": settings, "found": found} | about)
        _identities[program.name] = sha256_bytes(json.dumps(found, sort_keys=True).encode())[:16]

    @classmethod
    def version(cls) -> str:
        """Digest of our code, and of what `configure` found installed."""
        return f"{super().version()}-{_identities.get(cls.program.name, 'not-configured')}"

    @classmethod
    def build(cls, folder: Path, workers: int = 1) -> None:
        """Nothing to make. Raises FileNotFoundError before `configure`."""
        _record(folder)

    def prepare(self, picture: Path) -> Portrait:
        """The face of a picture, cut out. Raises PictureError if it shows no usable face."""
        picture = Path(picture)
        square = repairs.square_picture(picture, self.program.picture_side, self.detector)
        return Portrait(square, picture.name)

    def generate(
        self, portrait: Portrait, utterance: Utterance, n_frames: int, seed: int
    ) -> np.ndarray:
        """Run the program for one clip, when it is its turn, and log the run.

        Raises GenerationError with the last lines that the program printed.
        """
        name = self.program.name
        with runner.slot(name, self.settings["jobs"]):
            start, problem = time.monotonic(), ""
            try:
                return self._frames(portrait.picture, utterance.sound, n_frames, seed)
            except GenerationError as error:
                problem = f"{name}: {error}"
                raise GenerationError(problem) from error
            finally:
                seconds = round(time.monotonic() - start, 3)
                line = {"picture": portrait.name, "seed": seed}
                _log(self.folder / RUNS, line | {"seconds": seconds, "problem": problem})

    def _frames(
        self, picture: np.ndarray, sound: np.ndarray, n_frames: int, seed: int
    ) -> np.ndarray:
        """Run the program for one clip and repair what comes out."""
        program, settings = self.program, self.settings
        repository = Path(settings["repository"])
        with runner.working_copy(repository, program.scratch, self.folder) as folder:
            run = Run(folder, seed % 2**31)
            _write_inputs(program, run, picture, sound, n_frames)
            command = command_line(program, run, settings)
            before = runner.snapshot(folder, program.output)
            runner.run(command, folder, settings["timeout_seconds"])
            frames = repairs.at_25_fps(runner.new_video(folder, program.output, before), n_frames)
        if program.panels > 1:
            return repairs.last_panel(frames, program.panels, program.picture_side)
        return frames


def generator_of(about: Program, module: str) -> type[ExternalGenerator]:
    """The generator that runs a program, of the module that describes it."""

    class Described(ExternalGenerator):
        __module__ = module
        program = about

    return Described


def command_line(program: Program, run: Run, settings: dict) -> list[str]:
    """The whole command of a run: environment, launcher, script and arguments."""
    launcher = run.folder / JOB / "launch.py"
    launcher.write_bytes((files("visemix.generators.external") / "launch.py").read_bytes())
    prelude = "-"
    if program.prelude:
        prelude = f"{JOB}/prelude.py"
        (run.folder / prelude).write_text(program.prelude)
    python = words(settings, run.folder)
    return [*python, f"{JOB}/launch.py", str(run.seed), prelude, *program.command(run)]


def write_config(run: Run, published: str, changes: dict) -> str:
    """Write a published YAML file with changed keys; its path, for the command line.

    Raises GenerationError if the published one cannot be read.
    """
    try:
        config = yaml.safe_load((run.folder / published).read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise GenerationError(f"{published} of the repository cannot be read: {error}") from error
    path = f"{JOB}/config.yaml"
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


def _record(folder: str | PathLike) -> dict:
    path = Path(folder) / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; ExternalGenerator.configure writes it")
    return json.loads(path.read_text())
