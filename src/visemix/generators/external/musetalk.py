"""MuseTalk 1.5 (Zhang et al., arXiv 2410.10122).

It prints exceptions and goes on, so that its exit status says nothing; frames that fail leave a
gap where its video ends.
"""

import yaml

from visemix.generators.external.description import JOB, Program, Run, Weight
from visemix.generators.external.program import generator_of

_HUB = "https://huggingface.co/TMElyralab/MuseTalk"
_UNET = "models/musetalkV15/unet.pth"
_CONFIG = "models/musetalkV15/musetalk.json"


def command(run: Run) -> list[str]:
    """One task; it caches by file name, which is no harm in a folder of its own."""
    tasks = f"{JOB}/tasks.yaml"
    clip = {"clip": {"video_path": run.picture, "audio_path": run.sound}}
    (run.folder / tasks).write_text(yaml.safe_dump(clip))
    model = ["--unet_model_path", _UNET, "--unet_config", _CONFIG, "--version", "v15"]
    paths = ["--inference_config", tasks, "--result_dir", run.output]
    return ["-m", "scripts.inference", *paths, *model, "--fps", "25"]


PROGRAM = Program(
    name="musetalk",
    source="https://github.com/TMElyralab/MuseTalk",
    commit="0a89dec",
    licence="code MIT, weights for any purpose; the models it uses keep their own licences",
    environment="Python 3.10, torch 2.0.1, mmcv and mmpose, tensorflow 2.12, ffmpeg (FFMPEG_PATH)",
    weights={
        _UNET: Weight(_HUB),
        _CONFIG: Weight(_HUB),
        "models/sd-vae/diffusion_pytorch_model.bin": Weight(
            "https://huggingface.co/stabilityai/sd-vae-ft-mse, with its config.json"
        ),
        "models/whisper/pytorch_model.bin": Weight(
            "https://huggingface.co/openai/whisper-tiny, with its two JSON files"
        ),
        "models/dwpose/dw-ll_ucoco_384.pth": Weight("https://huggingface.co/yzd-v/DWPose"),
        "models/face-parse-bisent/79999_iter.pth": Weight(
            "the link in https://github.com/zllrunning/face-parsing.PyTorch, README"
        ),
        "models/face-parse-bisent/resnet18-5c106cde.pth": Weight(
            "https://download.pytorch.org/models/resnet18-5c106cde.pth", "5c106cde"
        ),
    },
    command=command,
    output="visemix_job/out/**/*.mp4",
    repairs=("sound: 5 frames of silence after it, dither of one step",),
    scratch=("results",),
    picture_side=512,
)
GENERATOR = generator_of(PROGRAM, __name__)
