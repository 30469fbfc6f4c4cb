"""Wav2Lip + GAN: wav2lip with the checkpoint that was trained with the visual discriminator.

AudioVSR compares both, and their order differs between its tables: store the clips of both.
"""

from dataclasses import replace

from visemix.generators.external import wav2lip
from visemix.generators.external.description import Run, Weight
from visemix.generators.external.program import generator_of

CHECKPOINT = "checkpoints/wav2lip_gan.pth"


def command(run: Run) -> list[str]:
    """Wav2Lip with the other checkpoint."""
    return wav2lip.command_with(CHECKPOINT, run)


PROGRAM = replace(
    wav2lip.PROGRAM,
    name="wav2lip-gan",
    weights={CHECKPOINT: Weight(wav2lip.README)} | wav2lip.DETECTOR,
    command=command,
)
GENERATOR = generator_of(PROGRAM, __name__)
