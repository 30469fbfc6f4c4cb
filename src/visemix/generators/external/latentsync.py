"""LatentSync 1.6 (Li et al., arXiv 2412.09262), 512 pixels.

It works in blocks of 16 frames, and versions before mid-2025 leave out the last, unfinished block
(16 of 29 frames): the sound is padded to whole blocks. It wants a driving video.
"""

from visemix.generators.external.description import Program, Run, Weight
from visemix.generators.external.program import generator_of

CHECKPOINT = "checkpoints/latentsync_unet.pt"


def command(run: Run) -> list[str]:
    """The published command."""
    model = ["--unet_config_path", "configs/unet/stage2_512.yaml"]
    model += ["--inference_ckpt_path", CHECKPOINT, "--inference_steps", "20"]
    model += ["--guidance_scale", "1.5", "--seed", str(run.seed)]
    clip = ["--video_path", run.video, "--audio_path", run.sound]
    return ["-m", "scripts.inference", *model, *clip, "--video_out_path", f"{run.output}/clip.mp4"]


PROGRAM = Program(
    name="latentsync",
    source="https://github.com/bytedance/LatentSync",
    commit="a229c39",
    licence="code Apache-2.0; weights: the licence on their page",
    environment="torch 2.5.1, mediapipe 0.10.11, insightface, onnxruntime-gpu, ffmpeg, a CUDA GPU "
    "of 18 GB; stabilityai/sd-vae-ft-mse in the Hugging Face cache of the environment",
    weights={
        CHECKPOINT: Weight("https://huggingface.co/ByteDance/LatentSync-1.6"),
        "checkpoints/whisper/tiny.pt": Weight(
            "https://huggingface.co/ByteDance/LatentSync-1.6 (it is OpenAI's Whisper tiny)",
            "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956e9424a650c0ce22b9",
        ),
    },
    command=command,
    output="visemix_job/out/clip.mp4",
    repairs=(
        "driven by a still",
        "sound: silence after it, to a multiple of 16 frames; dither of one step",
    ),
    scratch=("temp",),
    picture_side=512,
    driven_by_video=True,
    block=16,
)
GENERATOR = generator_of(PROGRAM, __name__)
