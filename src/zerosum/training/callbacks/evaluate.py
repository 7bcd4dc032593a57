"""Metrics on a schedule, their history, and the best checkpoint."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from zerosum.distributed import broadcast_buffers
from zerosum.errors import DivergedError, UserError, did_you_mean
from zerosum.evaluation.finding import Finding
from zerosum.evaluation.measurement import Measurement, Record, format_values, is_finite, measure, write_record
from zerosum.evaluation.protocol import Diagnosing, EvaluationProtocol
from zerosum.training.callbacks.checkpoint import BEST_OF_LAST, keep, save
from zerosum.training.callbacks.schedule import check_interval, data_of, is_due, is_finished
from zerosum.training.logs import in_section, log_better, log_values
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")


class Evaluate(Callback):
    """Measures the model's moving average at the start, every `every` images and at the end.

    Each value goes to the loggers and, with its card, to metrics.json; the best model so far is kept in best.ckpt.
    """

    def __init__(self, protocol: EvaluationProtocol, folder: str, every: int = 20_000) -> None:
        check_interval("evaluate", every)
        self.protocol = protocol
        self.folder = Path(folder)
        self.every = every
        self.history: list[Measurement] = []
        self.floor: dict[str, float] | None = None
        self.findings: list[Finding] | None = None

    @property
    def best(self) -> Measurement | None:
        """The measurement with the greatest score, the earlier of equals; None before the first."""
        return max(self.history, key=lambda measurement: self.protocol.score(measurement.values), default=None)

    def setup(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        """Prepare features and real statistics; one process computes, the others read its cache."""
        dataset, device = data_of(trainer).dataset, trainer.strategy.root_device
        if trainer.is_global_zero:
            self.protocol.prepare(dataset, device)
            self.floor = self.protocol.floor()
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            self.protocol.prepare(dataset, device)

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Measure an untrained model; continue the clock of a resumed run."""
        before = self.history[-1].minutes if self.history else 0.0
        self._started = time.perf_counter() - 60 * before
        log_better(trainer, "quality", self.protocol.better)
        if not self.history:
            self.evaluate(trainer, pl_module)
        elif trainer.is_global_zero:
            self.restore_best()
            self.write()

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
        broadcast_buffers(module.ema.network)  # the samples of all ranks are those of the model that rank 0 saves
        facts = {"selection": self.protocol.describe_selection(), **module.facts()}
        minutes = round((time.perf_counter() - self._started) / 60, 3)
        started = time.perf_counter()
        measurement = measure(self.protocol, module, lambda: self.values_of(trainer, module), facts=facts)
        module.stopwatch.seconds["evaluation"] += time.perf_counter() - started
        measurement = replace(measurement, minutes=minutes)
        self.history.append(measurement)
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in measurement.values.items()})
        log_values(trainer, module, in_section("quality", {**measurement.values, **self.diagnose(trainer)}))
        log.info("%s images: %s", f"{module.images_seen:,}", format_values(measurement.values))
        best = self.best
        assert best is not None
        if best is measurement:
            save(trainer, self.folder / "best.ckpt")
        if trainer.is_global_zero:
            self.write()
        # Lightning's EarlyStopping and ModelCheckpoint read what they monitor at the end of a validation.
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if getattr(callback, "monitor", None):
                check_monitor(callback, trainer.callback_metrics)
                callback.on_validation_end(trainer, module)

    def diagnose(self, trainer: Trainer) -> dict[str, float]:
        """What else the protocol says of the samples, in the process that logs."""
        return self.protocol.diagnose() if trainer.is_global_zero and isinstance(self.protocol, Diagnosing) else {}

    def write(self) -> None:
        """Write metrics.json."""
        assert self.best is not None
        write_record(self.folder / "metrics.json", Record(self.history, self.best, self.floor, self.findings))

    def restore_best(self) -> None:
        """Replace a best.ckpt that was saved after the checkpoint that training continues from."""
        for name in ("best.ckpt", BEST_OF_LAST):
            if self.measured_last(self.folder / name) == self.best:
                if name != "best.ckpt":
                    keep(self.folder / name, "best.ckpt")
                return
        assert self.best is not None
        (self.folder / "best.ckpt").unlink(missing_ok=True)
        images = f"{self.best.images:,}"
        log.warning("The best model so far, of %s images, is lost: best.ckpt will be the next better one.", images)

    def measured_last(self, path: Path) -> Measurement | None:
        """The last measurement in a checkpoint; for best.ckpt that is its own."""
        if not path.is_file():
            return None
        try:
            stored = torch.load(path, weights_only=True, map_location="cpu")
            return Measurement.from_dict(stored["callbacks"][self.state_key]["history"][-1])
        except Exception:  # torch.load raises whatever the damage makes it
            return None

    def values_of(self, trainer: Trainer, module: GenerativeModule) -> dict[str, float]:
        """The protocol's values; DivergedError where they are not finite."""
        values = self.protocol.measure(module)
        broken = [name for name, value in values.items() if not is_finite(value)]
        if broken:
            raise DivergedError(
                f"{broken[0]} is {values[broken[0]]} at {module.images_seen:,} images: the model diverged"
            )
        return values

    def objective(self, name: str) -> float:
        """The best measurement's value of this name, for sweepers."""
        values = self.best.values if self.best is not None else {}
        if name not in values:
            raise UserError(f"objective={name} was not measured: choose one of {', '.join(values)}")
        return values[name]

    def restore(self, history: Sequence[Measurement]) -> None:
        """Continue a history; UserError if another protocol measured it."""
        self.history = list(history)
        try:
            self.best  # noqa: B018
        except LookupError as error:
            raise UserError(f"the run was measured without {error}: keep its protocol and metrics") from error

    def state_dict(self) -> dict[str, Any]:
        return {"history": [measurement.to_dict() for measurement in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.restore(Measurement.history_from(state_dict["history"]))


def check_monitor(callback: Any, values: Mapping[str, Any]) -> None:
    """UserError if a callback of Lightning waits for a value that is not measured."""
    if callback.monitor not in values and getattr(callback, "strict", True):
        near = did_you_mean(callback.monitor, values)
        raise UserError(
            f"{type(callback).__name__} monitors {callback.monitor}, which is not measured: choose one of"
            f" {', '.join(values)}.{near}"
        )


def evaluation_of(trainer: Trainer) -> Evaluate | None:
    """The trainer's Evaluate callback, if it has one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, Evaluate)), None)
