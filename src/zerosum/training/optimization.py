"""One optimizer's step: backward, average over processes, clip, and apply."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from zerosum.distributed import average_gradients

if TYPE_CHECKING:
    from lightning import Trainer

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
"""Builds an optimizer of these parameters"""


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters that the optimizer updates."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def backward(
    loss: Tensor, optimizer: Optimizer, scaler: torch.amp.GradScaler | None = None, retain_graph: bool = False
) -> None:
    """Add the gradients of a scalar loss to the optimizer's parameters; no other parameter gets any."""
    (loss if scaler is None else scaler.scale(loss)).backward(
        inputs=parameters_of(optimizer), retain_graph=retain_graph
    )


def step(optimizer: Optimizer, clip: float | None = None, scaler: torch.amp.GradScaler | None = None) -> None:
    """Apply the mean gradient over processes, shortened to the norm `clip` over all parameters together.

    With a scaler, gradients are unscaled first; the step is skipped where they overflow, and the scale adapts.
    """
    parameters = parameters_of(optimizer)
    average_gradients(parameters)
    if clip is not None:
        if scaler is not None:
            scaler.unscale_(optimizer)
        clip_grad_norm_(parameters, clip)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    # Autocast would go on using its casts of the weights from before the step.
    torch.clear_autocast_cache()


def count_step(trainer: "Trainer") -> None:
    """Count one step of training, however many optimizers took part.

    Lightning counts the steps of every optimizer that it steps itself (private names: lightning < 2.7).
    """
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()
