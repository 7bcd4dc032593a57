"""One player's step: the gradients of its own weights, averaged over processes, clipped if asked for, and taken."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from zerosum.distributed import average_gradients

if TYPE_CHECKING:
    from zerosum.gan import GAN


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All that it optimizes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def update(gan: "GAN", optimizer: Any, losses: Iterable[Tensor]) -> None:
    """One step of the player whose Lightning optimizer it is; the other's weights receive no gradients.

    `losses` are those of `gan.accumulate` equal parts of the batch, of which the mean is taken; each is computed only
    when the graph of the one before is gone. Gradients longer than `gan.clip` are shortened to it, over all weights.
    """
    plain, scaler = optimizer.optimizer, getattr(gan.trainer.precision_plugin, "scaler", None)
    parameters = parameters_of(plain)
    plain.zero_grad()
    for loss in losses:
        share = loss / gan.accumulate if gan.accumulate > 1 else loss
        if scaler is None:  # Lightning's hooks around this call cost a twentieth of a small model's step
            share.backward(inputs=parameters)
        else:
            gan.manual_backward(share, inputs=parameters)
    average_gradients(parameters)
    if gan.clip is not None:
        if scaler is not None:
            scaler.unscale_(plain)
        clip_grad_norm_(parameters, gan.clip)
    if scaler is None:
        plain.step()
    else:
        optimizer._on_before_step = optimizer._on_after_step = lambda: None
        optimizer.step()
    # Autocast keeps its casts of the weights until it is left: D's turn would not be seen in G's.
    torch.clear_autocast_cache()


def count_step(gan: "GAN") -> None:
    """One step, two optimizers: Lightning's global_step counts generator updates (private: lightning < 2.7)."""
    progress = gan.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    progress.increment_ready()
    progress.increment_completed()
