"""AniPortrait (Wei, Yang & Wang, arXiv 2403.17694): the generator of LipGen.

Without a head pose given, the published script cuts sound into pieces of 5 s and takes the last
but one, so that it fails for every word clip; LipGen does not say what its authors did about that.
Here the repository's own template of head poses is given (the README's `pose_temp`), from a place
in it that the clip's seed draws: the alternative, sound padded beyond 5 s, costs four times as much
and moves the head anew at random. The result is the last panel of a strip, at 30 fps.
"""

import numpy as np

from visemix.generators.external.description import JOB, Program, Run, Weight
from visemix.generators.external.program import generator_of, write_config

POSES = "configs/inference/head_pose_temp/pose_temp.npy"  # (frames, 6): rotation, translation
CONFIG = "configs/prompts/animation_audio.yaml"
_HUB = "https://huggingface.co/ZJYang/AniPortrait"
_MODELS = "pretrained_model"  # so the YAML files; the README says pretrained_weights


def command(run: Run) -> list[str]:
    """Seed, one picture and one sound; a picture without a face stops a whole list."""
    poses = np.load(run.folder / POSES, allow_pickle=False)
    start = np.random.default_rng(run.seed).integers(len(poses) // 2 + 1)
    np.save(run.folder / JOB / "poses.npy", poses[start:])
    changes = {"pose_temp": f"{JOB}/poses.npy", "test_cases": {run.picture: [run.sound]}}
    config = write_config(run, CONFIG, changes)
    sizes = ["-W", "512", "-H", "512", "--fps", "30"]
    return ["-m", "scripts.audio2vid", "--config", config, *sizes, "--seed", str(run.seed)]


PROGRAM = Program(
    name="aniportrait",
    source="https://github.com/Zejun-Yang/AniPortrait",
    commit="7f6593f",
    licence="code Apache-2.0; Stable Diffusion 1.5 inside it CreativeML OpenRAIL-M, whose "
    "restrictions of use follow the clips",
    environment="Python 3.10, torch 2.0.1, diffusers 0.24.0, transformers 4.30.2, xformers 0.0.22, "
    "mediapipe 0.10.11, numpy 1.24.4, ffmpeg; a CUDA GPU",
    weights={
        **{
            f"{_MODELS}/{name}": Weight(_HUB)
            for name in (
                "denoising_unet.pth", "reference_unet.pth", "pose_guider.pth",
                "motion_module.pth", "audio2mesh.pt",
            )
        },
        f"{_MODELS}/stable-diffusion-v1-5/unet/diffusion_pytorch_model.bin": Weight(
            "https://huggingface.co/runwayml/stable-diffusion-v1-5 (the README's address; if it is "
            "gone, a mirror whose sha256 you can trust), with the config.json beside it"
        ),
        f"{_MODELS}/sd-vae-ft-mse/diffusion_pytorch_model.bin": Weight(
            "https://huggingface.co/stabilityai/sd-vae-ft-mse, with its config.json"
        ),
        f"{_MODELS}/image_encoder/pytorch_model.bin": Weight(
            "https://huggingface.co/lambdalabs/sd-image-variations-diffusers, folder "
            "image_encoder, with its config.json"
        ),
        f"{_MODELS}/wav2vec2-base-960h/pytorch_model.bin": Weight(
            "https://huggingface.co/facebook/wav2vec2-base-960h, the whole folder"
        ),
        POSES: Weight("the repository itself, where it is committed"),
    },
    command=command,
    output="output/**/*.mp4",
    repairs=(
        "head poses: the repository's template, from a place drawn by the seed",
        "last of three panels",
        "30 to 25 fps, nearest frame",
        "sound: 5 frames of silence after it, dither of one step",
    ),
    scratch=("output",),
    picture_side=512,
    panels=3,
)  # fmt: skip
GENERATOR = generator_of(PROGRAM, __name__)
