"""How much faster a training step of ours is than the straightforward one, measured in one run.

Both take the same weights, clips and augmentation and end in the same loss. Straightforward is how
published code is written: per-clip float crops, Conv3d + BatchNorm3d + MaxPool3d with a 5-D
transposition, swish as x * sigmoid(x), each temporal branch for itself, default memory layout,
default Adam. Times are CPU seconds of one process, the two kinds of step taking turns.

    python benchmarks/train_step.py --width 8 --input-size 32
"""

import argparse
import copy
import math
import statistics
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from visemix.clips import augmentation
from visemix.config.model import Recogniser
from visemix.config.training import Training
from visemix.models.dctcn import DenseLayer
from visemix.models.front_end import BasicBlock, Stem
from visemix.models.word_recogniser import WordRecogniser, for_fast_convolutions

FRAMES = 29


def swish(x):
    return x * torch.sigmoid(x)


class PlainStem(Stem):
    def forward(self, x):
        x = swish(self.norm(self.conv(x[:, None])))
        x = F.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        return x.transpose(1, 2).contiguous().flatten(0, 1)


class PlainBlock(BasicBlock):
    def forward(self, x, frames):
        out = x
        if self.shifted:
            clips = x.unflatten(0, (-1, frames))
            out, k = torch.zeros_like(clips), self.shifted
            out[:, :-1, :k] = clips[:, 1:, :k]
            out[:, 1:, k : 2 * k] = clips[:, :-1, k : 2 * k]
            out[:, :, 2 * k :] = clips[:, :, 2 * k :]
            out = out.flatten(0, 1)
        out = swish(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        return swish(out + (x if self.downsample is None else self.downsample(x)))


class PlainLayer(DenseLayer):
    def forward(self, x):
        gated = [x] * len(self.first.branches)
        if self.excite is not None:
            pairs = zip(self.excite.squeeze, self.excite.excite, strict=True)
            gated = [
                x * torch.sigmoid(swish(x.mean(2) @ down) @ up)[:, :, None] for down, up in pairs
            ]
        out = F.dropout(self._stage(self.first, gated), self.dropout, self.training)
        out = self._stage(self.second, [out] * len(gated))
        return swish(F.dropout(out, self.dropout, self.training) + self.shortcut(x))

    def _stage(self, part, inputs):
        outputs = []
        for branch, x in zip(part.branches, inputs, strict=True):
            padding = branch.kernel_size[0] // 2 * part.dilation
            outputs.append(F.conv1d(x, branch.weight, branch.bias, 1, padding, part.dilation))
        return swish(part.norm(torch.cat(outputs, 1)))


def straightforward(model: WordRecogniser) -> WordRecogniser:
    """The same weights in the straightforward modules."""
    model = copy.deepcopy(model)
    stem = model.front_end.stem
    stem.__class__ = PlainStem
    norm = nn.BatchNorm3d(stem.norm.num_features)
    norm.load_state_dict(stem.norm.state_dict())
    stem.norm = norm
    for part in model.modules():
        if isinstance(part, BasicBlock):
            part.__class__ = PlainBlock
        elif isinstance(part, DenseLayer):
            part.__class__ = PlainLayer
    return model


def plain_augment(clips, drawn, subtract_mean_frame, size):
    """Clip by clip in float, crop, flip, jitter, mask, normalise, reduce; then mixup."""
    batch = []
    for b, clip in enumerate(clips):
        top, left = drawn.top[b], drawn.left[b]
        x = clip[:, top : top + 88, left : left + 88].float() / 255
        x = x.flip(-1) if drawn.flip[b] else x
        if size < 88:
            frames = [
                cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in x.numpy()
            ]
            x = torch.from_numpy(np.stack(frames))
        x = float(drawn.brightness[b]) * (
            float(drawn.contrast[b]) * x + (1 - float(drawn.contrast[b])) * x.mean()
        )
        x = (x - augmentation.MEAN) / augmentation.STD
        x[drawn.mask_start[b] : drawn.mask_stop[b]] = x.mean()
        batch.append(x)
    return augmentation.mix(torch.stack(batch), drawn)


def make_step(model, optimiser, augment, clips):
    labels = torch.arange(len(clips)) % model.config.n_words
    visemes = torch.rand(model.config.n_words, model.config.n_visemes).round()

    def step(number: int) -> float:
        drawn = augmentation.draw(Training(), 0, number, clips.shape[:3])
        targets = augmentation.smoothed_targets(labels, model.config.n_words, 0.1)
        torch.manual_seed(number)
        out = model(augment(clips, drawn, False, model.config.input_size))
        loss = F.cross_entropy(out["word_logits"], augmentation.mix(targets, drawn))
        loss = loss + F.binary_cross_entropy_with_logits(
            out["viseme_logits"], augmentation.mix(visemes[labels], drawn)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--input-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--blocks", type=int, default=1)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--growth", type=int, default=48)
    parser.add_argument("--reduced", type=int, default=64)
    parser.add_argument("--viseme-branch", choices=["own", "shared"], default="own")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    torch.manual_seed(0)
    config = Recogniser(
        n_words=20,
        input_size=options.input_size,
        width=options.width,
        temporal_shift=[0.125] * 4,
        pooling="conv3d",
        blocks=options.blocks,
        layers=options.layers,
        dilations=[1, 2, 5][: options.layers],
        growth=options.growth,
        reduced=options.reduced,
        viseme_branch=options.viseme_branch,
        tafm_on="visemes",
        lambda_=0.1,
        gamma=math.inf,
    )
    model = WordRecogniser(config)
    plain = straightforward(model)
    model = for_fast_convolutions(model)
    side = (options.batch_size, FRAMES, 96, 96)
    clips = torch.from_numpy(np.random.default_rng(0).integers(0, 256, side, dtype=np.uint8))
    steps = {}
    for name, one, augment, fused in (
        ("straightforward", plain, plain_augment, False),
        ("ours", model, augmentation.augment, True),
    ):
        torch.manual_seed(0)
        optimiser = torch.optim.Adam(one.parameters(), lr=3e-4, fused=fused)
        steps[name] = make_step(one, optimiser, augment, clips)
    seconds = {name: [] for name in steps}
    for number in range(options.rounds + 2):
        for name, step in steps.items():
            began = time.process_time()
            loss = step(number)
            if number < 2:  # warming up
                print(f"step {number}, {name}: loss {loss:.5f}")
            else:
                seconds[name].append(time.process_time() - began)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in median.items():
        print(f"{name}: {1e3 * value:.1f} ms a step, {options.batch_size / value:.0f} clips/s")
    print(f"ratio: {median['straightforward'] / median['ours']:.2f}")


if __name__ == "__main__":
    main()
