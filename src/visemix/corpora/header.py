"""Facts from the header and the packets of a video file, without decoding a frame."""

import io

import av


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


def plain(error: Exception) -> str:
    """The error without FFmpeg's number and place holder, which say nothing to a reader."""
    return getattr(error, "strerror", None) or str(error)
