"""Logs how far a step moves the weights, and how much each layer can stretch its input."""

import math
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from zerosum.training.callbacks.curves import optimizers_of
from zerosum.training.callbacks.schedule import check_interval, is_due
from zerosum.training.logs import in_section, log_values
from zerosum.training.module import GenerativeModule
from zerosum.training.optimization import parameters_of


class Weights(Callback):
    """Logs of each optimizer `update_ratio`, and of each layer `singular_value`, every `every` images and at first.

    The ratio is |w' - w| / |w| of all its weights in one step, the effective learning rate; the value is the greatest
    by which the layer, as a matrix (outputs, inputs), can stretch a vector.
    """

    def __init__(self, every: int = 20_000) -> None:
        check_interval("weights", every)
        self.every = every
        self.before: dict[str, list[Tensor]] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: GenerativeModule, batch: Any, batch_idx: int) -> None:
        """Keep the weights from before a step after which values are due, or the first one, which says its images."""
        images = pl_module.last_step.images if hasattr(pl_module, "last_step") else self.every
        crosses = (pl_module.images_seen + images) // self.every > pl_module.images_seen // self.every
        if trainer.is_global_zero and crosses:
            self.before = {
                name: [weight.detach().clone() for weight in parameters_of(optimizer)]
                for name, optimizer in optimizers_of(pl_module).items()
            }

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.before and (is_due(pl_module, self.every) or trainer.global_step == 1):
            values = {
                f"update_ratio/{name}": update_ratio(self.before[name], parameters_of(optimizer))
                for name, optimizer in optimizers_of(pl_module).items()
            }
            log_values(trainer, pl_module, in_section("game", {**values, **singular_values(pl_module)}))
        self.before = {}


@torch.no_grad()
def update_ratio(before: list[Tensor], after: list[nn.Parameter]) -> float:
    """|w' - w| / |w| over all weights together."""
    moved = torch.nn.utils.get_total_norm([new - old for new, old in zip(after, before, strict=True)])
    return float(moved / torch.nn.utils.get_total_norm(before))


@torch.no_grad()
def singular_values(module: GenerativeModule) -> dict[str, float]:
    """The greatest singular value of each linear and convolutional layer that is trained."""
    average = {id(layer) for layer in module.ema.modules()}
    return {
        f"singular_value/{name}": greatest_singular_value(layer)
        for name, layer in module.named_modules()
        if id(layer) not in average and isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)
    }


def greatest_singular_value(layer: nn.Module) -> float:
    """That of the weight as a matrix (outputs, everything else), as spectral norm reads it; NaN where there is none."""
    weight = undisturbed_weight(layer)
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    matrix = (weight.transpose(0, 1) if transposed else weight).flatten(1).float()
    scale = matrix.abs().max().clamp_min(1e-30)
    matrix = matrix / scale  # squares of very large weights would be infinite
    gram = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    if not gram.isfinite().all():
        return math.nan
    try:
        return (scale * torch.linalg.eigvalsh(gram)[-1].clamp_min(0).sqrt()).item()
    except torch.linalg.LinAlgError:  # LAPACK's iteration does not end on some ill-conditioned matrices
        return math.nan


def undisturbed_weight(layer: nn.Module) -> Tensor:
    """The weight in use; in training mode, reading that of a spectrally normalized layer would change its estimate."""
    is_training = layer.training
    layer.eval()
    weight: Tensor = layer.weight  # type: ignore[assignment]
    layer.train(is_training)
    return weight
