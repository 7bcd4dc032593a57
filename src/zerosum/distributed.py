"""Data parallelism: broadcast the weights once, then average gradients in one message per optimizer step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from zerosum.errors import UserError

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def rank_and_world_size() -> tuple[int, int]:
    """(rank, number of processes); (0, 1) outside distributed training."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


@contextmanager
def lost_ranks_as_user_errors() -> Iterator[None]:
    """Say in one sentence that another rank ended or does not answer; the backends tell it in errors of their own."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and "gloo" not in str(error):
            raise
        reason = "does not answer" if "imed out" in str(error) else "ended"
        raise UserError(
            f"another process of this training {reason}: look for its error above or in its machine's log, then"
            " continue from the last checkpoint with the option resume"
        ) from error


def broadcast_buffers(network: nn.Module) -> None:
    """Give every rank the buffers of rank 0: running statistics of batch norm differ between ranks."""
    if rank_and_world_size()[1] > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all ranks, with a single all-reduce."""
    _, processes = rank_and_world_size()
    if processes == 1:
        return
    gradients: list[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
    vector = torch.cat([gradient.reshape(-1) for gradient in gradients])  # those of channels_last weights have no view
    torch.distributed.all_reduce(vector)
    parts = (vector / processes).split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Sum over all ranks, in place, the same on every rank."""
    if rank_and_world_size()[1] > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def all_reduce_max(tensor: Tensor) -> Tensor:
    """Elementwise maximum over all ranks, in place, the same on every rank."""
    if rank_and_world_size()[1] > 1:
        torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
    return tensor


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean over all ranks, the same on every rank; no gradient passes through it."""
    return all_reduce_sum(value.detach().clone()) / rank_and_world_size()[1]


def on_rank_zero(compute: Callable[[Argument], Result], argument: Argument) -> Result:
    """Compute on rank 0 and broadcast the result, or the UserError that it raised."""
    rank, processes = rank_and_world_size()
    if processes == 1:
        return compute(argument)
    outcome: list[Any] = [None]
    if rank == 0:
        try:
            outcome = [compute(argument)]
        except UserError as error:
            outcome = [error]
    torch.distributed.broadcast_object_list(outcome)
    if isinstance(outcome[0], UserError):
        raise outcome[0]
    return outcome[0]
