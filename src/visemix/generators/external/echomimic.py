"""EchoMimic (Chen et al., arXiv 2407.08136), driven by sound alone; 24 fps, 512 pixels."""

from visemix.generators.external.description import Program, Run, Weight
from visemix.generators.external.program import generator_of, write_config

CONFIG = "configs/prompts/animation.yaml"
_HUB = "https://huggingface.co/BadToBest/EchoMimic"
_MODELS = "pretrained_weights"


def command(run: Run) -> list[str]:
    """The published defaults, for one picture and one sound."""
    config = write_config(run, CONFIG, {"test_cases": {run.picture: [run.sound]}})
    sizes = ["-W", "512", "-H", "512", "--fps", "24"]
    return ["infer_audio2vid.py", "--config", config, *sizes, "--seed", str(run.seed)]


PROGRAM = Program(
    name="echomimic",
    source="https://github.com/antgroup/echomimic",
    commit="a53e970",
    licence="code Apache-2.0; Stable Diffusion inside it CreativeML OpenRAIL-M, whose restrictions "
    "of use follow the clips",
    environment="Python 3.8 to 3.11, torch 2.0.1 to 2.2.2, facenet-pytorch, moviepy, ffmpeg "
    "(FFMPEG_PATH); a CUDA GPU",
    weights={
        f"{_MODELS}/{name}": Weight(_HUB)
        for name in (
            "denoising_unet.pth",
            "reference_unet.pth",
            "motion_module.pth",
            "face_locator.pth",
            "sd-vae-ft-mse/diffusion_pytorch_model.bin",
            "sd-image-variations-diffusers/unet/diffusion_pytorch_model.bin",
            "audio_processor/whisper_tiny.pt",
        )
    },
    command=command,
    output="output/**/*_withaudio.mp4",
    repairs=(
        "24 to 25 fps, nearest frame: one frame in 25 is shown twice",
        "sound: 5 frames of silence after it, dither of one step",
    ),
    scratch=("output",),
    picture_side=512,
)
GENERATOR = generator_of(PROGRAM, __name__)
