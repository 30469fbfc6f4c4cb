"""What the processes of one data-parallel training ask each other; alone, a process answers itself.

Tensors on a GPU travel by NCCL, those of the CPU by gloo.
"""

import torch
import torch.distributed as dist


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def any_of(flag: bool) -> bool:
    """Is `flag` true in any process? All processes must ask, and each waits for the others."""
    if processes() == 1:
        return flag
    flags = torch.tensor([flag], dtype=torch.int32)  # of the CPU: the GPU need not be waited for
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


@torch.no_grad()
def average(tensors: list[torch.Tensor]) -> None:
    """Give each tensor the mean of its values in all processes, in place.

    One exchange in an order that never changes: sums of three numbers or more depend on where in
    the exchange they stand. torch's DistributedDataParallel moves gradients about after its first
    step, so that a training that was stopped and started again would end in other bits.
    """
    if processes() == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= processes()
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


class Sum(torch.autograd.Function):
    """Sum over the processes. Its gradient is one too: the losses of all depend on each part."""

    @staticmethod
    def forward(ctx, part: torch.Tensor) -> torch.Tensor:
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return Sum.apply(gradient)
