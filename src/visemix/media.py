"""Video clips with sound in and out of files (PyAV): one pass to read, reproducible bytes to write.

Frames are uint8 RGB (T, H, W, 3), or grey and RGB on demand (see Video); sound is int16 mono at
16 kHz, aligned with the first frame.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from visemix.run.atomic import atomic_path

FPS = 25
SAMPLE_RATE = 16000
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
_AAC_BLOCK = 1024  # samples in one AAC frame
# one thread: same bytes
_VIDEO_OPTIONS: dict[str, object] = {"crf": "20", "preset": "veryfast", "threads": "1"}


class MediaError(ValueError):
    """A media file cannot be used; the message names the file, what is wrong and what to do."""


@dataclass(frozen=True)
class Clip:
    """A decoded clip."""

    frames: np.ndarray  # (T, H, W, 3) uint8 RGB
    fps: float
    sound: np.ndarray  # (N,) int16, 16 kHz mono; empty where it was not asked for


class Video(Sequence[np.ndarray]):
    """Decoded frames: video[t] is frame t as (H, W, 3) uint8 RGB, converted when it is asked for.

    Most of the time of reading a clip goes into the conversion to RGB, which mouth crops need for
    the few frames that the face detector sees. `grey(t)` is the frame's luminance (H, W) uint8,
    0..255, straight from the decoder; `fps` are the frames a second.
    """

    def __init__(self, frames: list[av.VideoFrame], fps: float):
        self._frames, self.fps = frames, fps

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> np.ndarray:  # type: ignore[override]  # no slices
        return self._frames[number].to_ndarray(format="rgb24")

    def grey(self, number: int) -> np.ndarray:
        frame = self._frames[number]
        if not _EIGHT_BIT_LUMINANCE.fullmatch(frame.format.name):
            return cv2.cvtColor(self[number], cv2.COLOR_RGB2GRAY)
        plane = frame.planes[0]
        luminance = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        luminance = luminance[: frame.height, : frame.width]
        full_range = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        return luminance if full_range else cv2.LUT(luminance, _FULL_RANGE)


Frames = Sequence[np.ndarray] | np.ndarray  # (H, W, 3) uint8 RGB each, or a Video

# Formats whose first plane is the luminance (ITU-R BT.601 or 709), 16..235 unless they say so.
_EIGHT_BIT_LUMINANCE = re.compile("yuvj?4[0-9][0-9]p|nv12|nv21")
_FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def read_video(path: str | PathLike) -> Video:
    """Decode all frames of a clip, unconverted. Raises MediaError as read_clip does."""
    with _open(path) as container:
        video = _video_stream(container, path)
        frames, _, _ = _decode(container, video, None, path)
        _check_complete(frames, video, path)
        return Video(frames, float(video.average_rate or FPS))


def read_clip(path: str | PathLike, sound: bool = False) -> Clip:
    """Read all frames, and the sound if asked for, in one pass over the file.

    The sound starts with the first frame: it is cut or padded with silence if its track starts
    earlier or later. Raises MediaError if the file is missing, empty, cut short, without a video
    stream, or without a sound stream when sound is asked for.
    """
    with _open(path) as container:
        video = _video_stream(container, path)
        audio = _audio_stream(container, path) if sound else None
        frames, starts, blocks = _decode(container, video, audio, path)
        _check_complete(frames, video, path)
        fps = float(video.average_rate or FPS)
        if audio is None:
            samples = np.empty(0, np.int16)
        else:
            samples = _align(blocks, audio, starts[audio.index] - starts[video.index])
    return Clip(np.stack([f.to_ndarray(format="rgb24") for f in frames]), fps, samples)


def read_sound(path: str | PathLike) -> np.ndarray:
    """The sound (N,) int16 at 16 kHz mono of a media file, without decoding its video.

    Raises MediaError if the file is missing, empty or damaged, or has no sound stream.
    """
    with _open(path) as container:
        audio = _audio_stream(container, path)
        _, _, blocks = _decode(container, None, audio, path)
        return _align(blocks, audio, 0.0)


def write_clip(path: str | PathLike, frames: np.ndarray, sound: np.ndarray, fps: int = FPS) -> None:
    """Write H.264 video and AAC sound as mp4; equal input gives equal bytes.

    frames (T, H, W, 3) uint8 RGB with even H and W, sound (N,) int16 at 16 kHz. Raises MediaError
    for other arrays. The file appears whole or not at all.
    """
    frames, sound = np.asarray(frames), np.asarray(sound)
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise MediaError(
            f"{path}: frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}"
        )
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise MediaError(f"{path}: H.264 needs even sizes, not {frames.shape[1:3]}; crop or pad")
    if sound.ndim != 1 or sound.dtype != np.int16 or not len(sound):
        raise MediaError(f"{path}: sound must be int16 (N,), not {sound.dtype} {sound.shape}")
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=fps)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        video.options = _VIDEO_OPTIONS
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for picture in frames:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for block in _sound_blocks(sound):
            container.mux(audio.encode(block))
        container.mux(audio.encode())


def cut_sound(sound: np.ndarray, first: int, length: int) -> np.ndarray:
    """Samples first .. first + length of sound (N,), silent where it has none."""
    out = np.zeros(length, sound.dtype)
    low, high = max(0, first), min(len(sound), first + length)
    if low < high:
        out[low - first : high - first] = sound[low:high]
    return out


def _open(path):
    """An open container; MediaError where the file is missing or its header unreadable."""
    try:
        return av.open(str(path))
    except FileNotFoundError:
        raise MediaError(f"{path}: no such file; check the path") from None
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{path}: not a readable media file ({error}); it is empty, cut short or of another "
            "kind, replace it"
        ) from error


def _video_stream(container, path):
    if not container.streams.video:
        raise MediaError(f"{path}: no video stream; it is cut short or only sound, replace it")
    video = container.streams.video[0]
    video.thread_count = 1  # one thread a process: parallel work is done by processes
    return video


def _check_complete(frames: list, video, path) -> None:
    """Raise MediaError unless there are the frames that the header promises, all of one size."""
    if not frames:
        raise MediaError(f"{path}: no frame could be decoded; replace the file")
    if len(frames) < video.frames:
        raise MediaError(
            f"{path}: {len(frames)} of {video.frames} frames could be decoded; the file is "
            "damaged or cut short, replace it"
        )
    if len(sizes := {(frame.width, frame.height) for frame in frames}) > 1:
        raise MediaError(f"{path}: frames change their size ({sorted(sizes)}); encode it anew")


def _audio_stream(container, path):
    if not container.streams.audio:
        raise MediaError(f"{path}: no sound stream; it is cut short or silent, replace it")
    return container.streams.audio[0]


def _decode(container, video, audio, path):
    """Frames, start time in seconds by stream index, and 16 kHz mono sound blocks."""
    wanted = [stream for stream in (video, audio) if stream is not None]
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    frames: list[av.VideoFrame] = []
    blocks: list[np.ndarray] = []
    starts: dict[int, float] = {}
    try:
        for packet in container.demux(wanted):
            for frame in packet.decode():
                index = packet.stream.index
                starts.setdefault(index, frame.time or 0.0)
                if video is not None and index == video.index:
                    frames.append(frame)
                else:
                    blocks += [b.to_ndarray()[0] for b in resampler.resample(frame)]
        if blocks:
            blocks += [b.to_ndarray()[0] for b in resampler.resample(None)]
    except av.FFmpegError as error:
        raise MediaError(
            f"{path}: damaged after {len(frames)} frames ({error}); replace the file"
        ) from error
    if audio is not None and not blocks:
        raise MediaError(f"{path}: no sound could be decoded; replace the file")
    return frames, starts, blocks


def _align(blocks: list[np.ndarray], audio, delay: float) -> np.ndarray:
    """Join sound blocks; `delay` (s) is how much later than the video the sound starts."""
    sound = np.concatenate(blocks)
    if audio.codec_context.name == "aac" and audio.duration:  # the encoder fills its last block
        sound = sound[: round(float(audio.duration * audio.time_base) * SAMPLE_RATE)]
    shift = round(delay * SAMPLE_RATE)
    if shift > 0:
        return np.concatenate([np.zeros(shift, np.int16), sound])
    return sound[-shift:]


def _sound_blocks(sound: np.ndarray):
    """AAC-sized float blocks of int16 mono sound."""
    frame = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
    resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE, _AAC_BLOCK)
    return resampler.resample(frame) + resampler.resample(None)
