"""What a published program is, and what it is given for one clip."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

JOB = "visemix_job"  # the folder of the working copy with our files: no dot, no blank in its name


@dataclass(frozen=True)
class Weight:
    """A file that a program needs and its repository does not hold.

    sha256 may be the first digits only, as file names of the PyTorch hub have them; None where the
    authors give none: then it is recorded on first use.
    """

    source: str
    sha256: str | None = None


@dataclass(frozen=True)
class Run:
    """One clip to be made; paths are relative to the working copy, which is `folder`."""

    folder: Path
    seed: int  # below 2**31
    picture: str = f"{JOB}/picture.png"
    sound: str = f"{JOB}/sound.wav"  # 16 kHz mono
    video: str = f"{JOB}/still.mp4"  # only for programs that want to be driven by one
    output: str = f"{JOB}/out"  # an empty folder


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
