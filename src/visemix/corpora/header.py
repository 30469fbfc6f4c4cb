"""Facts from the header and the packets of a video file, without decoding a frame."""

import io
from collections.abc import Iterator
from pathlib import Path

import av

from visemix.run.atomic import sha256_bytes


class NoVideoError(ValueError):
    """A media file has no video stream."""


def read_header(content: bytes) -> tuple[int, int, float]:
    """Whole video packets, frames that the header announces (0: none), and frames a second.

    `content` is the file's content. Raises av.FFmpegError for what is no media file, and
    NoVideoError.
    """
    with av.open(io.BytesIO(content), "r") as container:
        if not container.streams.video:
            raise NoVideoError("no video stream")
        video = container.streams.video[0]
        whole = sum(p.size > 0 and not p.is_corrupt for p in container.demux(video))
        return whole, video.frames, float(video.average_rate or 0)


def complaints(path: Path, name: str, facts: dict) -> Iterator[str]:
    """What is wrong with a video file, called `name`; fills sha256, n_frames and fps of `facts`."""
    try:
        content = path.read_bytes()
        facts["sha256"] = sha256_bytes(content)
        facts["n_frames"], announced, facts["fps"] = read_header(content)
    except FileNotFoundError:
        yield f"{name} is missing"
    except (av.FFmpegError, NoVideoError) as error:
        yield f"{name} cannot be read, it is cut short or damaged ({plain(error)})"
    if facts["n_frames"] < announced:
        yield f"{name} is cut short: {facts['n_frames']} of {announced} frames are there"


def plain(error: Exception) -> str:
    """The error without FFmpeg's number and place holder, which say nothing to a reader."""
    return getattr(error, "strerror", None) or str(error)
