"""Data parallelism for two players: broadcast once, then average each player's gradients in one message."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from zerosum.errors import UserError

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class PlayersStrategy(DDPStrategy):
    """DDP without the wrapper, whose reducer cannot follow two backward passes through shared networks.

    Parameters and buffers are those of rank 0 at the start; `average_gradients` keeps them equal.
    """

    def _setup_model(self, model: nn.Module) -> nn.Module:  # type: ignore[override]
        for tensor in [*model.parameters(), *model.buffers()]:
            torch.distributed.broadcast(tensor.data, src=0)
        return model


def world() -> tuple[int, int]:
    """(rank, number of processes): (0, 1) outside distributed training."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def average_gradients(parameters: list[nn.Parameter]) -> None:
    """Mean gradient over all processes, by one flat all-reduce; nothing where there is one process."""
    _, processes = world()
    if processes == 1:
        return
    gradients: list[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = _flatten_dense_tensors(gradients)
    torch.distributed.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, _unflatten_dense_tensors(flat, gradients), strict=True):
        gradient.copy_(mean)


def summed(tensor: Tensor) -> Tensor:
    """The sum over all processes, in each of them."""
    if world()[1] > 1:
        torch.distributed.all_reduce(tensor)
    return tensor


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a value that each process has one of, so that what is kept of it is the same everywhere."""
    return summed(value.detach().clone()) / world()[1]


def from_first(compute: Callable[[Argument], Result], argument: Argument) -> Result:
    """What the first process computes, in all of them; so is the UserError that it may raise."""
    rank, processes = world()
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
