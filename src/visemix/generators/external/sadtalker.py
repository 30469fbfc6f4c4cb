"""SadTalker (Zhang et al., CVPR 2023, arXiv 2211.12194), face crops of 256 pixels.

Its outputs are named by the clock's second, its blinks and its latent are not seeded, and a picture
without a face ends it with status 0.
"""

from visemix.generators.external.description import Program, Run, Weight
from visemix.generators.external.program import generator_of

_RELEASE = "https://github.com/OpenTalker/SadTalker/releases/tag/v0.0.2-rc"
_FACEXLIB = "https://github.com/xinntao/facexlib/releases/tag/v0.1.0"


def command(run: Run) -> list[str]:
    """The published defaults."""
    inputs = ["--driven_audio", run.sound, "--source_image", run.picture]
    options = ["--size", "256", "--preprocess", "crop", "--pose_style", "0"]
    return ["inference.py", *inputs, *options, "--result_dir", run.output]


PROGRAM = Program(
    name="sadtalker",
    source="https://github.com/OpenTalker/SadTalker",
    commit="cd4c046",
    licence="Apache-2.0; versions older than its safetensors need the Basel Face Model (research)",
    environment="Python 3.8, torch 1.12.1, numpy 1.23.4, facexlib, gfpgan, ffmpeg",
    weights={
        "checkpoints/mapping_00229-model.pth.tar": Weight(_RELEASE),
        "checkpoints/SadTalker_V0.0.2_256.safetensors": Weight(_RELEASE),
        "gfpgan/weights/alignment_WFLW_4HG.pth": Weight(_FACEXLIB),
        "gfpgan/weights/detection_Resnet50_Final.pth": Weight(_FACEXLIB),
    },
    command=command,
    output="visemix_job/out/*.mp4",
    repairs=(
        "blinks and latent are seeded",
        "sound: 5 frames of silence after it, dither of one step",
    ),
    scratch=("results",),
    picture_side=512,
)
GENERATOR = generator_of(PROGRAM, __name__)
