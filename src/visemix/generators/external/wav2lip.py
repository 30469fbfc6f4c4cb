"""Wav2Lip (Prajwal et al., ACM Multimedia 2020, arXiv 2008.10010): a generator of AudioVSR.

Its inference drops the last three frames of every sound, so that a word would no longer be in the
middle of its clip; sound is padded for that. Its face box is that of its own detector with the
demo's margin of 10 pixels below (--pads 0 10 0 0); the authors' evaluation had none.
"""

from visemix.generators.external.description import Program, Run, Weight
from visemix.generators.external.program import generator_of

README = "the links in https://github.com/Rudrabha/Wav2Lip, README, section Getting the weights"
DETECTOR = {  # its file name carries the first digits of the sha256
    "face_detection/detection/sfd/s3fd.pth": Weight(
        "https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth", "619a316812"
    )
}


def command_with(checkpoint: str, run: Run) -> list[str]:
    """The command line for a checkpoint of the repository."""
    inputs = ["--checkpoint_path", checkpoint, "--face", run.picture, "--audio", run.sound]
    box = ["--fps", "25", "--pads", "0", "10", "0", "0"]
    return ["inference.py", *inputs, *box, "--outfile", f"{run.output}/clip.mp4"]


def command(run: Run) -> list[str]:
    """Plain Wav2Lip."""
    return command_with("checkpoints/wav2lip.pth", run)


PROGRAM = Program(
    name="wav2lip",
    source="https://github.com/Rudrabha/Wav2Lip",
    commit="5c90fa9",
    licence="no licence file; README: personal, research and non-commercial use only, because it "
    "was trained on LRS2; the clips made with it fall under that too",
    environment="Python 3.6, torch 1.1.0, torchvision 0.3.0, librosa 0.7.0 (0.10 breaks it), "
    "numba 0.48, numpy 1.17.1, opencv, ffmpeg",
    weights={"checkpoints/wav2lip.pth": Weight(README)} | DETECTOR,
    command=command,
    output="visemix_job/out/*.mp4",
    repairs=(
        "sound: 5 frames of silence after it, because the last 3 frames are dropped",
        "sound: dither of one step, because zeros give a mel spectrogram of NaN",
        "face box: its own detector, pads 0 10 0 0",
    ),
    scratch=("temp", "results"),
)
GENERATOR = generator_of(PROGRAM, __name__)
