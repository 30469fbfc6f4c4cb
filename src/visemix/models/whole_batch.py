"""Layers that see the whole batch although it is spread over the processes of a training.

Batch normalisation takes its statistics from the clips of all processes, and each process drops
its part of one mask, so that several processes train the network that one would. Alone, or in
evaluation, they are torch's own layers.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from visemix.run import data_parallel

Network = TypeVar("Network", bound=nn.Module)


def dropout(x: torch.Tensor, p: float, training: bool) -> torch.Tensor:
    """`F.dropout` of this process's clips, (B, ...), with its part of the whole batch's mask."""
    processes, rank = data_parallel.processes(), data_parallel.rank()
    if not training or processes == 1:
        return F.dropout(x, p, training)
    batch = len(x)
    mask = x.new_empty(processes * batch, *x.shape[1:]).bernoulli_(1 - p).div_(1 - p)
    return x * mask[rank * batch : (rank + 1) * batch]


def with_whole_batch_norms(model: Network, device: torch.device) -> Network:
    """Put batch normalisation over all processes in the place of the model's; weights stay."""
    if data_parallel.processes() == 1:
        return model
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for part in list(model.modules()):
        for name, norm in list(part.named_children()):
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                assert norm.momentum is not None  # None, a cumulative mean, is used nowhere
                whole = WholeBatchNorm(norm.num_features, norm.eps, norm.momentum)
                whole.load_state_dict(norm.state_dict())
                setattr(part, name, whole)
    return model


class WholeBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of (B, C, ...) over all processes on CPUs, for which torch has none.

    Every process must hold equally many values.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        processes = data_parallel.processes()
        others = [0, *range(2, x.dim())]  # all axes but that of the channels
        shape = (1, -1, *[1] * (x.dim() - 2))
        mean = data_parallel.Sum.apply(x.mean(others)) / processes  # (C,)
        centred = x - mean.view(shape)
        variance = data_parallel.Sum.apply(centred.square().mean(others)) / processes  # (C,)
        count = processes * x.numel() // len(mean)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean.detach(), self.momentum)
        self.running_var.lerp_(variance.detach() * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias.view(shape), centred, scale.view(shape))
