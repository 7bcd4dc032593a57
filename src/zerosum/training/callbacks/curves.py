"""Logs losses, speed and what the optimizers do over training."""

from typing import Any

import torch
from lightning import Callback, Trainer

from zerosum.training.callbacks.schedule import check_interval, data_of, is_due
from zerosum.training.callbacks.speed import Mark, describe_speed, read_clocks
from zerosum.training.logs import in_section, log_values
from zerosum.training.module import GenerativeModule
from zerosum.training.optimization import parameters_of


class Curves(Callback):
    """Logs the module's `curves()`, such as losses, and the speed of training every `every` images and at the end.

    With them go, of each optimizer, the learning_rate and the gradient_norm of the last step, after clipping.
    """

    def __init__(self, every: int = 2_000) -> None:
        check_interval("curves", every)
        self.every = every
        self.mark: Mark | None = None
        self.has_stepped = False
        self.logged_at = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.has_stepped = True
        if is_due(pl_module, self.every):
            self.log_curves(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Log the last step too: a short run has no other."""
        if self.has_stepped and self.logged_at != pl_module.images_seen:
            self.log_curves(trainer, pl_module)

    def log_curves(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Log the values of the last step."""
        self.logged_at = module.images_seen
        game = {**module.curves(), **optimizer_curves(module)}
        before, self.mark = self.mark, read_clocks(module, data_of(trainer).stopwatch)
        speed = {} if before is None else describe_speed(before, self.mark)
        log_values(trainer, module, in_section("game", game) | in_section("speed", speed))


def optimizer_curves(module: GenerativeModule) -> dict[str, float]:
    """Learning rate and norm of the gradient of each optimizer; reading them waits for the device."""
    curves = {}
    for name, optimizer in optimizers_of(module).items():
        gradients = [weight.grad for weight in parameters_of(optimizer) if weight.grad is not None]
        curves[f"learning_rate/{name}"] = float(optimizer.param_groups[0]["lr"])
        curves[f"gradient_norm/{name}"] = float(torch.nn.utils.get_total_norm(gradients))
    return curves


def optimizers_of(module: GenerativeModule) -> dict[str, torch.optim.Optimizer]:
    """The optimizers by their names."""
    optimizers = module.trainer.optimizers
    names = module.optimizer_names if len(module.optimizer_names) == len(optimizers) else range(len(optimizers))
    return {str(name): optimizer for name, optimizer in zip(names, optimizers, strict=True)}
