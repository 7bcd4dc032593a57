"""Logs losses and other values over training."""

from typing import Any

from lightning import Callback, Trainer

from zerosum.training.callbacks.schedule import check_interval, is_due, log_metrics
from zerosum.training.module import GenerativeModule


class Curves(Callback):
    """Logs the module's `curves()`, such as losses, every `every` images."""

    def __init__(self, every: int = 2_000) -> None:
        check_interval("curves", every)
        self.every = every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_due(pl_module, self.every):
            log_metrics(trainer, pl_module, pl_module.curves())
