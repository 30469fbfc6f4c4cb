"""A stand-in for published talking-face programs: their options, their outputs, their failures.

Copied into made-up repositories by test_external. `dialect.txt` there names the program it plays,
`how.txt` what goes wrong ("well": nothing). Every frame shows the picture, a mouth that opens with
the sound, and in its upper left corner the frame's number as a grey level (see SHADE).
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import yaml

SHADE = 6  # grey levels a frame number is worth
CORNER = 16  # px
OPTIONS = {
    "wav2lip": "checkpoint_path face audio outfile fps pads",
    "sadtalker": "driven_audio source_image result_dir size preprocess pose_style",
    "talklip": "video_path wav_path ckpt_path avhubert_root save_path",
    "latentsync": "unet_config_path inference_ckpt_path inference_steps guidance_scale seed "
    "video_path audio_path video_out_path",
    "musetalk": "inference_config result_dir unet_model_path unet_config version fps",
    "aniportrait": "config W H fps seed",
    "echomimic": "config W H fps seed",
}


def main():
    dialect, how = (Path(f"{name}.txt").read_text().strip() for name in ("dialect", "how"))
    given = options(dialect)
    picture, sound, output = places(dialect, given)
    samples, image = read_wav(sound), read_image(picture)
    before_the_output(how, samples)
    if how == "no-output":
        print("face not found, returning")
        return
    fps, count = frames_of(dialect, len(samples), picture)
    image = image if dialect not in ("aniportrait", "echomimic") else fitted(image, given)
    if how == "thirty":
        fps, count = 30, -(-len(samples) * 30 // 16000)
    if how == "slow":
        fps, count = Fraction(25, 2), count // 2
    if how == "short":
        count //= 2
    frames = talking(image, samples, count, fps)
    if how == "fixed-scratch":
        np.save("temp/result.npy", frames)
        time.sleep(0.3)
        frames = np.load("temp/result.npy")
    if dialect == "aniportrait" or how == "panels":
        frames = strip(frames)
    output.parent.mkdir(parents=True, exist_ok=True)
    write(output, frames, fps)
    if how == "two":
        write(output.with_name("again.mp4"), frames, fps)
    if how == "truncated":
        output.write_bytes(output.read_bytes()[:3000])
    if how == "status":
        sys.exit(3)


def options(dialect):
    """The program's options and no others."""
    parser = argparse.ArgumentParser()
    for name in OPTIONS[dialect].split():
        many = {"nargs": 4} if name == "pads" else {}
        parser.add_argument(f"-{name}" if len(name) == 1 else f"--{name}", required=True, **many)
    return vars(parser.parse_args())


def places(dialect, given):
    """Picture or video, sound, and where the output goes, as the program names it."""
    if dialect == "wav2lip":
        assert given["face"].split(".")[1] == "png", "takes a dot in any folder for a file type"
        return given["face"], given["audio"], Path(given["outfile"])
    if dialect == "sadtalker":
        clock = time.strftime("%Y_%m_%d_%H.%M.%S")
        output = Path(given["result_dir"], f"{clock}.mp4")
        return given["source_image"], given["driven_audio"], output
    if dialect == "talklip":
        return given["video_path"], given["wav_path"], Path(given["save_path"] + ".mp4")
    if dialect == "latentsync":
        return given["video_path"], given["audio_path"], Path(given["video_out_path"])
    if dialect == "musetalk":
        (task,) = yaml.safe_load(Path(given["inference_config"]).read_text()).values()
        output = Path(given["result_dir"], given["version"], "picture_sound.mp4")
        return task["video_path"], task["audio_path"], output
    config = yaml.safe_load(Path(given["config"]).read_text())
    ((picture, (sound,)),) = config["test_cases"].items()
    folder = Path("output", time.strftime("%Y%m%d"), time.strftime("%H%M") + "--seed")
    if dialect == "echomimic":
        return picture, sound, folder / "picture_sound_withaudio.mp4"
    assert len(np.load(config["pose_temp"]))  # without it, sounds below 5 s fail
    return picture, sound, folder / "picture_sound.mp4"


def frames_of(dialect, samples, picture):
    """Frame rate and number of frames that the program makes of a sound."""
    if dialect == "wav2lip":
        return 25, samples // 640 - 3
    if dialect == "aniportrait":
        return 30, -(-samples * 30 // 16000)
    if dialect == "echomimic":
        return 24, samples * 24 // 16000
    if dialect == "latentsync":
        return 25, samples // 640 // 16 * 16
    if dialect == "talklip":
        with av.open(picture) as container:
            length = sum(1 for _ in container.decode(video=0))
        difference = samples // 640 - length
        assert difference < 0, "nothing is left of the video"
        return 25, length + difference
    return 25, samples // 640


def before_the_output(how, samples):
    """What goes wrong before anything is written."""
    if how.startswith("exclusive:"):
        busy = os.open(how.partition(":")[2], os.O_CREAT | os.O_EXCL)
        time.sleep(0.3)
        os.close(busy)
        os.unlink(how.partition(":")[2])
    if how == "hang-on":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how.startswith("hang"):
        time.sleep(600)
    if how == "grandchild":
        child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        Path("child.pid").resolve().write_text(str(child.pid))
    if how == "chatter":
        for number in range(20_000):
            print(f"step {number} " + "x" * 100, file=sys.stderr)
    if how == "endless":
        while True:
            print("x" * 100_000, file=sys.stderr)
    still = np.flatnonzero(samples) if how == "crash-on-zeros" else np.arange(2)
    if np.diff(still, prepend=-1, append=len(samples) if how == "crash-on-zeros" else 2).max() > 99:
        raise ValueError("Mel contains nan!")
    if how.startswith("first-fails:"):
        try:
            os.close(os.open(how.partition(":")[2], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        raise MemoryError("CUDA out of memory")
    if how == "crash-if-loud" and np.abs(samples).max() > 20_000:
        raise MemoryError("too loud")


def read_wav(path):
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(int)


def read_image(path):
    with av.open(path) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def fitted(image, given):
    assert image.shape[:2] == (int(given["H"]), int(given["W"])), "another size would be squashed"
    return image


def talking(image, samples, count, fps):
    """Frames (count, H, W, 3) whose mouth, below the middle, opens with the sound."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    frames = np.repeat(image[None], count, 0)
    for t in range(count):
        part = samples[int(t * 16000 / fps) : int((t + 1) * 16000 / fps)]
        level = np.abs(part).mean() / 4000 if len(part) else 0
        opening = height * (0.005 + 0.04 * min(1, level))
        lips = ((x - width / 2) / (width * 0.08)) ** 2 + ((y - height * 0.66) / opening) ** 2 < 1
        frames[t][lips] = frames[t][lips] // 4
        frames[t, :CORNER, :CORNER] = t * SHADE % 256
    return frames


def strip(frames):
    """Reference, landmarks and result side by side, with borders of 2 pixels."""
    count, height, width = frames.shape[:3]
    whole = np.zeros((count, height + 4, 3 * width + 8, 3), np.uint8)
    for number, panel in enumerate((frames[:1], 255 - frames, frames)):
        left = 2 + number * (width + 2)
        whole[:, 2 : 2 + height, left : left + width] = panel
    return whole


def write(path, frames, fps):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "12", "preset": "ultrafast"}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
