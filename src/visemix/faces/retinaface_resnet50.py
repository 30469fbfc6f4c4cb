"""RetinaFace face detector (Deng et al., CVPR 2020) with the ResNet-50 network, run by torch.

The network, its input (RGB, normalised as for ImageNet) and the names in its state dict are those
of the `retinaface-pytorch` 0.0.8 distribution; with equal weights it gives the same faces. The
weights are the user's: that distribution publishes `retinaface_resnet50_2020-07-20-f168fae3c.zip`
on its releases page. Weights of Pytorch_Retinaface have the same names and shapes, but were trained
on BGR less its mean: they load, and find little.

Unlike there, frames are never scaled up, and are scaled down by area averaging (see detection).
14.2 GFLOP for a frame of 256x256 px, 11.5 without the fine level; on one core about 0.2 s, some
eighty times the MobileNet's time.
"""

import zipfile
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from visemix.faces.detection import ANCHORS, LARGE, Detector, Prediction
from visemix.media import Frames
from visemix.run.atomic import sha256_bytes
from visemix.run.gpus import device_name

_MEAN_RGB = (0.485, 0.456, 0.406)  # of ImageNet, as proportions of 255
_SPREAD_RGB = (0.229, 0.224, 0.225)
# Frames a call: 201 ms a 256x256 frame at four on one core, 275 at 16. On a GPU, 16 of 640x640 px
# should need about 2 GB (reckoned).
_BATCH = {"cpu": 4, "cuda": 16}


class RetinaFaceResNet50(Detector):
    """A detector, on the GPU where torch has one, in float32 throughout.

    On a CPU take one thread each (torch.set_num_threads) and as many processes as cores. Raises
    what load_network does.
    """

    def __init__(self, weights: str | PathLike, sha256: str):
        self.device = device_name()
        self.batch = _BATCH[self.device]
        self._network = load_network(weights, sha256).to(self.device)

    @torch.inference_mode()
    def predict(self, frames: Frames, large_only: bool) -> Prediction:
        pictures = _to_input(torch.from_numpy(np.stack([*frames])).to(self.device))
        # Without TF32, which keeps ten bits of a number, and with the same bits every time.
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            offsets, logits, points = self._network(pictures, large_only)
        results = offsets, logits.softmax(-1)[..., 1], points
        return LARGE if large_only else tuple(ANCHORS), *(r.cpu().numpy() for r in results)


def _to_input(frames: torch.Tensor) -> torch.Tensor:
    """Network input (B, 3, H, W) float32 from (B, H, W, 3) uint8 RGB."""
    mean, spread = (frames.new_tensor(c, dtype=torch.float32) for c in (_MEAN_RGB, _SPREAD_RGB))
    return ((frames - 255 * mean) / (255 * spread)).permute(0, 3, 1, 2).contiguous()


def load_network(path: str | PathLike, sha256: str) -> "Network":
    """The network with the weights of a file, for inference, on the CPU.

    The file: safetensors, a state dict saved by torch, a checkpoint that holds one under
    'state_dict', or a zip of a single such file, as published; keys may have a prefix 'module.' or
    'model.'. Only tensors are unpickled, never code. Raises FileNotFoundError, or ValueError where
    sha256 (of the file as it is) or the contents are others.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileNotFoundError(
            f"{path}: cannot be read ({error.strerror}); crops.detector_weights must be the file "
            "with RetinaFace's ResNet-50 weights"
        ) from None
    if (found := sha256_bytes(data)) != sha256.lower():
        raise ValueError(
            f"{path}: its sha256 is {found}, crops.detector_sha256 says {sha256}; take the file "
            "that was meant, or correct the parameter"
        )
    network, state = Network(), _read_state(path, data)
    _check_state(path, state, network.state_dict())
    network.load_state_dict(state, strict=False)  # only counters of batches can be missing
    return network.eval().requires_grad_(False)


def _read_state(path: str | PathLike, data: bytes) -> dict[str, torch.Tensor]:
    """The tensors of a file, by key without prefix."""
    state: Any
    try:
        if Path(path).suffix == ".safetensors":
            state = safetensors.torch.load(data)
        else:
            state = torch.load(BytesIO(_unzipped(data)), map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: both libraries leave open which
        raise ValueError(
            f"{path}: neither safetensors nor a state dict that torch can read without running "
            f"code ({type(error).__name__}); save the network's state_dict() alone"
        ) from error
    if isinstance(state, dict):
        state = state.get("state_dict", state)
    named = isinstance(state, dict) and all(isinstance(key, str) for key in state)
    if not named or not all(torch.is_tensor(value) for value in state.values()):
        raise ValueError(f"{path}: no state dict; save the network's state_dict() alone")
    return {key.removeprefix("module.").removeprefix("model."): v for key, v in state.items()}


def _unzipped(data: bytes) -> bytes:
    """The file inside a zip of a single file; torch's own zip format has several and stays."""
    if zipfile.is_zipfile(BytesIO(data)):
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if len(archive.namelist()) == 1:
                return archive.read(archive.namelist()[0])
    return data


def _check_state(path, state: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    """Raise ValueError, naming keys, unless the tensors are those of the network."""
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    problems = [f"{key} is missing" for key in wanted if key not in state and key not in counters]
    problems += [f"{key} is unknown" for key in state if key not in wanted]
    problems += [
        f"{key} has shape {tuple(state[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise ValueError(
            f"{path}: not weights of RetinaFace with ResNet-50: {', '.join(problems[:3])}{more}; "
            "take the ResNet-50 weights of retinaface-pytorch"
        )


class Network(nn.Module):
    """ResNet-50, feature pyramid, context modules and heads; attributes named as in the weights."""

    def __init__(self, channels: int = 256):
        super().__init__()
        self.body = ResNet50()
        self.fpn = FeaturePyramid((512, 1024, 2048), channels)
        self.ssh1, self.ssh2, self.ssh3 = (ContextModule(channels) for _ in ANCHORS)
        self.BboxHead, self.ClassHead, self.LandmarkHead = (
            nn.ModuleList(Head(channels, len(sizes), values) for sizes in ANCHORS.values())
            for values in (4, 2, 10)
        )

    def forward(self, x: torch.Tensor, large_only: bool = False) -> tuple[torch.Tensor, ...]:
        """Offsets (B, P, 4), logits of no face and face (B, P, 2), landmarks (B, P, 10).

        x (B, 3, H, W). P anchors: two at each place of maps of strides 8 (not with `large_only`),
        16 and 32, of ceil(H / stride) rows and ceil(W / stride) columns.
        """
        maps = self.fpn(*self.body(x), large_only)
        levels = range(len(ANCHORS))[-len(maps) :]
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        maps = [contexts[level](m) for level, m in zip(levels, maps, strict=True)]
        return tuple(
            torch.cat([heads[level](m) for level, m in zip(levels, maps, strict=True)], 1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )


class ResNet50(nn.Module):
    """ResNet-50 (He et al., arXiv 1512.03385) without its classifier."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _stage(3, 64, 64, stride=1)
        self.layer2 = _stage(4, 256, 128, stride=2)
        self.layer3 = _stage(6, 512, 256, stride=2)
        self.layer4 = _stage(3, 1024, 512, stride=2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) -> maps of 512, 1024 and 2048 channels at strides 8, 16 and 32."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        fine = self.layer2(self.layer1(x))
        middle = self.layer3(fine)
        return fine, middle, self.layer4(middle)


def _stage(blocks: int, in_channels: int, channels: int, stride: int) -> nn.Sequential:
    first = Bottleneck(in_channels, channels, stride)
    return nn.Sequential(first, *(Bottleneck(4 * channels, channels) for _ in range(blocks - 1)))


class Bottleneck(nn.Module):
    """Residual bottleneck block, whose 3x3 convolution has the stride."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = None
        if in_channels != 4 * channels:
            self.downsample = _convolution(in_channels, 4 * channels, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


def _convolution(in_channels: int, channels: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(channels),
    )


class FeaturePyramid(nn.Module):
    """Feature pyramid (Lin et al., arXiv 1612.03144) of three levels, finest first."""

    def __init__(self, in_channels: tuple[int, int, int], channels: int):
        super().__init__()
        self.output1, self.output2, self.output3 = (
            _convolution(n, channels, 1) for n in in_channels
        )
        self.merge1, self.merge2 = (_convolution(channels, channels, 3) for _ in range(2))

    def forward(self, fine, middle, coarse, large_only: bool) -> list[torch.Tensor]:
        """Three maps (B, C, H, W), or with `large_only` the two coarser ones, of 256 channels."""
        coarse = F.relu(self.output3(coarse))
        middle = F.relu(self.output2(middle)) + F.interpolate(coarse, middle.shape[2:])
        middle = F.relu(self.merge2(middle))
        if large_only:
            return [middle, coarse]
        fine = F.relu(self.output1(fine)) + F.interpolate(middle, fine.shape[2:])
        return [F.relu(self.merge1(fine)), middle, coarse]


class ContextModule(nn.Module):
    """Context module of SSH (Najibi et al., ICCV 2017): views of 3x3, 5x5 and 7x7 by 3x3 layers."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv3X3 = _convolution(channels, channels // 2, 3)
        self.conv5X5_1 = _convolution(channels, channels // 4, 3)
        self.conv5X5_2 = _convolution(channels // 4, channels // 4, 3)
        self.conv7X7_2 = _convolution(channels // 4, channels // 4, 3)
        self.conv7x7_3 = _convolution(channels // 4, channels // 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = F.relu(self.conv5X5_1(x))
        wide = self.conv7x7_3(F.relu(self.conv7X7_2(inner)))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(inner), wide], 1))


class Head(nn.Module):
    """A 1x1 convolution: `values` numbers for each of the `anchors` at a place."""

    def __init__(self, channels: int, anchors: int, values: int):
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(channels, anchors * values, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, H W anchors, values)"""
        return self.conv1x1(x).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, self.values))
