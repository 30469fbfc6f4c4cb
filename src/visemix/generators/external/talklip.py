"""TalkLip (Wang et al., CVPR 2023, arXiv 2303.17480), the model with contrastive learning (g+c).

Where its detector finds no face, the published demo draws on a square in the middle of the picture
and says nothing; here it stops. It gives nothing at all for a video as long as the sound, so that
the video is one frame longer, and reads a file under the author's home folder.
"""

from visemix.generators.external.description import Program, Run, Weight
from visemix.generators.external.program import generator_of
from visemix.generators.external.wav2lip import DETECTOR

CHECKPOINT = "checkpoints/talklip_gc.pth"
PRELUDE = """
import face_detection
import torch

detect = face_detection.FaceAlignment.get_detections_for_batch
load = torch.load


def detect_or_stop(self, images):
    boxes = detect(self, images)
    if any(box is None for box in boxes):
        raise SystemExit("no face found by the program's own detector")
    return boxes


def load_from_repository(path, *args, **kwargs):
    own = str(path).endswith("/task_state.pt")
    return load("task_state.pt" if own else path, *args, **kwargs)


face_detection.FaceAlignment.get_detections_for_batch = detect_or_stop
torch.load = load_from_repository
"""


def command(run: Run) -> list[str]:
    """A still video and a sound of 16 kHz mono, which the program does not check."""
    inputs = ["--video_path", run.video, "--wav_path", run.sound, "--ckpt_path", CHECKPOINT]
    return [
        "inf_demo.py", *inputs, "--avhubert_root", "av_hubert", "--save_path", f"{run.output}/clip"
    ]  # fmt: skip


PROGRAM = Program(
    name="talklip",
    source="https://github.com/Sxjdwang/TalkLip",
    commit="7ed53ee",
    licence="no licence file, so no right to pass code or weights on; trained on LRS2 (research "
    "only), and it needs AV-HuBERT, whose licence allows non-commercial research only",
    environment="torch 1.12.0, numpy 1.23.3, fairseq, AV-HuBERT with two of its files replaced by "
    "those of avhubert_modification/, espnet 0.10.6, scikit-image 0.17.2, ffmpeg",
    weights={
        CHECKPOINT: Weight(
            "the link TalkLip (g+c) in https://github.com/Sxjdwang/TalkLip, README, section "
            "Checkpoints"
        ),
        "av_hubert/avhubert/hubert_asr.py": Weight(
            "https://github.com/facebookresearch/av_hubert, the whole repository, its "
            "hubert_asr.py replaced as TalkLip's README says"
        ),
        "task_state.pt": Weight("the repository itself, where it is committed"),
    }
    | DETECTOR,
    command=command,
    output="visemix_job/out/*.mp4",
    repairs=(
        "stops where its own detector finds no face",
        "driven by a still; one frame longer than the sound, else the output is empty",
        "task_state.pt is read from the repository",
        "sound: 5 frames of silence after it, dither of one step",
    ),
    driven_by_video=True,
    extra_video_frames=1,
    prelude=PRELUDE,
)
GENERATOR = generator_of(PROGRAM, __name__)
