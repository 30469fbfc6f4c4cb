"""Clips in and out of files: whole, aligned, reproducible, and clear about what is broken."""

import av
import cv2
import numpy as np
import pytest

from visemix.media import SAMPLE_RATE, MediaError, read_clip, read_sound, read_video, write_clip


@pytest.fixture(scope="module")
def made():
    """29 frames whose brightness tells their number, and a click after half a second."""
    frames = np.empty((29, 64, 64, 3), np.uint8)
    frames[:] = (20 + 7 * np.arange(29))[:, None, None, None]
    sound = np.zeros(18560, np.int16)
    sound[8000:8400] = 20000 * np.sin(np.arange(400) * 0.3)
    return frames, sound


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("media") / "clip.mp4"
    write_clip(path, *made)
    return path


def test_what_is_written_is_read_back(made, file):
    frames, sound = made
    clip = read_clip(file, sound=True)
    assert clip.frames.shape == frames.shape and clip.frames.dtype == np.uint8
    assert clip.fps == 25
    assert np.abs(clip.frames.astype(int) - frames).max() <= 4  # in order, and hardly lossy
    assert clip.sound.dtype == np.int16 and len(clip.sound) == len(sound)
    assert abs(int(np.argmax(np.abs(clip.sound) > 5000)) - 8000) < 40
    assert read_clip(file).sound.size == 0


def test_colours_are_not_swapped(tmp_path):
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    frames[..., 0] = 200
    write_clip(tmp_path / "red.mp4", frames, np.zeros(3200, np.int16))
    mean = read_clip(tmp_path / "red.mp4").frames.mean((0, 1, 2))
    assert mean[0] > 180 and mean[1] < 20 and mean[2] < 20


def test_read_sound_equals_the_sound_of_read_clip(file):
    np.testing.assert_array_equal(read_sound(file), read_clip(file, sound=True).sound)


def test_file_form_is_that_of_lrw(file):
    with av.open(str(file)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.name == "h264" and video.average_rate == 25
        assert audio.codec_context.name == "aac"
        assert audio.rate == SAMPLE_RATE and audio.channels == 1


def test_equal_input_gives_equal_bytes(made, file, tmp_path):
    write_clip(tmp_path / "again.mp4", *made)
    assert (tmp_path / "again.mp4").read_bytes() == file.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["again.mp4"]  # nothing temporary is left


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.95])
def test_a_file_cut_short_is_named(file, tmp_path, kept):
    data = file.read_bytes()
    size = int(kept * len(data)) if isinstance(kept, float) else kept
    short = tmp_path / "short.mp4"
    short.write_bytes(data[:size])
    with pytest.raises(MediaError, match=r"short\.mp4.*replace"):
        read_clip(short)


def test_missing_frames_are_noticed(made, tmp_path):
    """Sample tables that promise more frames than the data hold."""
    path = tmp_path / "front.mp4"
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (29, 64, 64, 3), np.uint8)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        for picture in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=r"front\.mp4.*replace"):
        read_clip(path)


def test_missing_streams_and_files_are_named(made, tmp_path):
    with pytest.raises(MediaError, match="no such file"):
        read_clip(tmp_path / "none.mp4")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="no video stream"):
        read_clip(tmp_path / "sound.mp4")
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 64
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(made[0][0], format="rgb24")))
        container.mux(stream.encode())
    assert len(read_clip(tmp_path / "silent.mp4").frames) == 1
    with pytest.raises(MediaError, match="no sound stream"):
        read_clip(tmp_path / "silent.mp4", sound=True)
    with pytest.raises(MediaError, match="no sound stream"):
        read_sound(tmp_path / "silent.mp4")


@pytest.mark.parametrize(
    "frames, sound, message",
    [
        (np.zeros((29, 64, 64), np.uint8), np.zeros(10, np.int16), "frames must be"),
        (np.zeros((29, 64, 64, 3)), np.zeros(10, np.int16), "frames must be"),
        (np.zeros((29, 63, 64, 3), np.uint8), np.zeros(10, np.int16), "even sizes"),
        (np.zeros((29, 64, 64, 3), np.uint8), np.zeros(10), "sound must be"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, frames, sound, message):
    with pytest.raises(MediaError, match=message):
        write_clip(tmp_path / "x.mp4", frames, sound)
    assert not list(tmp_path.iterdir())


def test_real_sentences_can_be_read(real_clips):
    for path in sorted((real_clips / "grid").glob("*.mpg")):
        clip = read_clip(path, sound=True)
        assert clip.frames.shape == (75, 288, 360, 3), path
        assert clip.fps == 25
        assert abs(len(clip.sound) / SAMPLE_RATE - 3) < 0.05, path


def test_real_words_can_be_read(real_clips):
    paths = sorted((real_clips / "lrw_layout").rglob("*.mp4"))
    assert paths
    for path in paths:
        clip = read_clip(path, sound=True)
        assert clip.frames.shape == (29, 256, 256, 3), path
        assert len(clip.sound) == 18560, path


def test_a_video_converts_on_demand(file):
    video, frames = read_video(file), read_clip(file).frames
    assert len(video) == len(frames) and video.fps == 25
    np.testing.assert_array_equal(np.stack(list(video)), frames)
    np.testing.assert_array_equal(video[-1], frames[-1])


@pytest.mark.parametrize("kind", ["yuv420p", "yuvj420p", "yuv444p", "gray", "bgr0"])
def test_grey_is_the_luminance_of_the_rgb_frame(tmp_path, kind):
    """Whatever the pixel format and its range; colours here are mild enough for all of them."""
    rng = np.random.default_rng(1)
    picture = cv2.resize(rng.integers(60, 200, (6, 9, 3), np.uint8), (90, 50))
    path = tmp_path / "clip.mkv"
    codec = "mjpeg" if kind == "yuvj420p" else "ffv1"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 50, 90, kind
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)
    video = read_video(path)
    grey = video.grey(0)
    assert grey.shape == (50, 90) and grey.dtype == np.uint8
    expected = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    difference = np.abs(grey.astype(int) - expected)
    assert difference.mean() < 1 and difference.max() <= 5  # coding and rounding


def test_grey_of_a_real_clip(real_clips):
    """RGB as the converter makes it is one to two levels darker: it rounds downwards."""
    for path in (real_clips / "grid" / "brbk7n.mpg", next(real_clips.rglob("*.mp4"))):
        video = read_video(path)
        difference = video.grey(3) - cv2.cvtColor(video[3], cv2.COLOR_RGB2GRAY).astype(int)
        assert 0 <= np.median(difference) <= 2 and np.abs(difference).mean() < 2.5


def test_a_video_that_is_damaged_is_named(file, tmp_path):
    (tmp_path / "short.mp4").write_bytes(file.read_bytes()[:-3000])
    with pytest.raises(MediaError, match=r"short\.mp4.*replace"):
        read_video(tmp_path / "short.mp4")


def test_frames_that_change_their_size_are_refused(tmp_path):
    whole = tmp_path / "two.h264"
    for size in (64, 128):  # raw streams may be joined end to end
        path = tmp_path / f"{size}.h264"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.height = stream.width = size
            picture = np.full((size, size, 3), 90, np.uint8)
            for frame in [av.VideoFrame.from_ndarray(picture, format="rgb24")] * 3:
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        with open(whole, "ab") as file:
            file.write(path.read_bytes())
    for read in (read_clip, read_video):
        with pytest.raises(MediaError, match=r"two\.h264: frames change their size.*encode"):
            read(whole)
