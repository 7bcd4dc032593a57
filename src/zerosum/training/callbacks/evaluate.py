"""Metrics on a schedule, their history, and the best checkpoint."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zerosum.errors import UserError
from zerosum.evaluation.measurement import Measurement, Record, format_values, is_finite, measure, write_record
from zerosum.evaluation.protocol import EvaluationProtocol
from zerosum.training.callbacks.checkpoint import save
from zerosum.training.callbacks.guard import DivergedError
from zerosum.training.callbacks.schedule import data_of, is_due, is_finished, log_metrics
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")


class Evaluate(Callback):
    """Measures the model's moving average at the start, every `every` images and at the end.

    Each value goes to the loggers and, with its card, to metrics.json; the best model so far is kept in best.ckpt.
    """

    def __init__(self, protocol: EvaluationProtocol, folder: str, every: int = 20_000) -> None:
        self.protocol = protocol
        self.folder = Path(folder)
        self.every = every
        self.history: list[Measurement] = []
        self.floor: dict[str, float] | None = None

    @property
    def best(self) -> Measurement | None:
        """The measurement with the greatest score, the earlier of equals; None before the first."""
        return max(self.history, key=lambda measurement: self.protocol.score(measurement.values), default=None)

    def setup(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        """Prepare features and real statistics before training; one process computes, the others read its cache."""
        dataset, device = data_of(trainer).dataset, trainer.strategy.root_device
        if trainer.is_global_zero:
            self.protocol.prepare(dataset, device)
            self.floor = self.protocol.floor()
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            self.protocol.prepare(dataset, device)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Measure the untrained model; a resumed run continues its clock."""
        before = self.history[-1].minutes if self.history else 0.0
        self._started = time.perf_counter() - 60 * before
        if not self.history:
            self.evaluate(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_due(pl_module, self.every) and not is_finished(trainer):
            self.evaluate(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Measure the final model, unless training was interrupted."""
        if is_finished(trainer) and self.history[-1].images != pl_module.images_seen:
            self.evaluate(trainer, pl_module)

    def evaluate(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Add one measurement to the history."""
        minutes = round((time.perf_counter() - self._started) / 60, 3)
        measurement = replace(measure(self.protocol, module, lambda: self.values_of(trainer, module)), minutes=minutes)
        self.history.append(measurement)
        trainer.callback_metrics.update(measurement.values)  # EarlyStopping and the like read them
        log_metrics(trainer, module, measurement.values)
        log.info("%s images: %s", f"{module.images_seen:,}", format_values(measurement.values))
        best = self.best
        assert best is not None
        if best is measurement:
            save(trainer, self.folder / "best.ckpt")
        if trainer.is_global_zero:
            write_record(self.folder / "metrics.json", Record(self.history, best, self.floor))

    def values_of(self, trainer: Trainer, module: GenerativeModule) -> dict[str, float]:
        """The protocol's values; DivergedError where they are not finite."""
        values = self.protocol.measure(module)
        broken = [name for name, value in values.items() if not is_finite(value)]
        if broken:
            raise DivergedError(f"{broken[0]} is {values[broken[0]]} at {module.images_seen:,} images: the model diverged")
        return values

    def objective(self, name: str) -> float:
        """The best measurement's value of that name, for sweepers."""
        values = self.best.values if self.best is not None else {}
        if name not in values:
            raise UserError(f"objective={name} was not measured: choose one of {', '.join(values)}")
        return values[name]

    def restore(self, history: Sequence[Measurement]) -> None:
        """Continue a history; UserError where another protocol measured it."""
        self.history = list(history)
        try:
            self.best  # noqa: B018
        except LookupError as error:
            raise UserError(f"the run was measured otherwise ({error} is missing): keep to its protocol") from error

    def state_dict(self) -> dict[str, Any]:
        """The history goes with the checkpoint, so that a resumed run has no gaps."""
        return {"history": [measurement.to_dict() for measurement in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the history of a checkpoint."""
        self.restore([Measurement.from_dict(entry) for entry in state_dict["history"]])


def evaluation_of(trainer: Trainer) -> Evaluate | None:
    """The trainer's Evaluate callback, if it has one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, Evaluate)), None)
