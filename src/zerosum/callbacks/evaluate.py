"""Metrics on a schedule, their history, and the best checkpoint."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zerosum.callbacks import data_of, finished, log_metrics, passed
from zerosum.callbacks.checkpoint import save
from zerosum.errors import UserError
from zerosum.evaluation import EvaluationProtocol
from zerosum.evaluation.provenance import provenance
from zerosum.files import saved_whole
from zerosum.gan import GAN

log = logging.getLogger("zerosum")


class Evaluate(Callback):
    """Measures the generator's average at the start, every `every` images and at the end.

    Each value goes to the loggers and, with all that it was measured by, to metrics.json; the best so far is
    kept in best.ckpt.
    """

    def __init__(self, protocol: EvaluationProtocol, folder: str, every: int = 20_000) -> None:
        self.protocol = protocol
        self.folder = Path(folder)
        self.every = every
        self.history: list[dict[str, Any]] = []
        self.floor: dict[str, float] | None = None

    @property
    def best(self) -> dict[str, Any] | None:
        """The evaluation with the greatest score, the earlier of equals; None before the first."""
        return max(self.history, key=lambda entry: self.protocol.score(entry["values"]), default=None)

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        """Weights and real statistics, before training starts; one process computes, the others read its cache."""
        dataset, device = data_of(trainer).dataset, trainer.strategy.root_device
        if trainer.is_global_zero:
            self.protocol.prepare(dataset, device)
            self.floor = self.protocol.floor()
        trainer.strategy.barrier()
        if not trainer.is_global_zero:
            self.protocol.prepare(dataset, device)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """What noise scores; minutes go on from those of the part that is resumed."""
        before = self.history[-1]["minutes"] if self.history else 0.0
        self._started = time.perf_counter() - 60 * before
        if not self.history:
            self.evaluate(trainer, pl_module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """When due."""
        if passed(pl_module, self.every) and not finished(trainer):
            self.evaluate(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """The last, unless training was interrupted."""
        if finished(trainer) and self.history[-1]["card"]["images"] != pl_module.images_seen:
            self.evaluate(trainer, pl_module)

    def evaluate(self, trainer: Trainer, gan: GAN) -> None:
        """One entry of the history."""
        minutes = round((time.perf_counter() - self._started) / 60, 3)
        self.history.append({**entry(self.protocol, gan), "minutes": minutes})
        values = self.history[-1]["values"]
        trainer.callback_metrics.update(values)
        log_metrics(trainer, gan, values)
        log.info("%s images: %s", f"{gan.images_seen:,}", described(values))
        if self.best is self.history[-1]:
            save(trainer, self.folder / "best.ckpt")
        if trainer.is_global_zero:
            self.write()

    def objective(self, name: str) -> float:
        """The best evaluation's value, for sweepers."""
        values = self.best["values"] if self.best is not None else {}
        if name not in values:
            raise UserError(f"objective={name} was not measured: choose one of {', '.join(values)}")
        return values[name]

    def write(self) -> None:
        """metrics.json: best, last, floor and the whole history."""
        report = {"best": self.best, "last": self.history[-1], "floor": self.floor, "history": self.history}
        text = json.dumps(report, indent=1)
        saved_whole(self.folder / "metrics.json", lambda partial: partial.write_text(text))

    def state_dict(self) -> dict[str, Any]:
        """The history goes with the checkpoint, so that a resumed run has no gaps."""
        return {"history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As saved; a UserError where this protocol did not measure it."""
        self.history = state_dict["history"]
        try:
            self.best  # noqa: B018
        except (LookupError, StopIteration, TypeError) as error:
            raise UserError(f"the run was measured otherwise ({error} is missing): keep to its protocol") from error


def evaluation_of(trainer: Trainer) -> Evaluate | None:
    """The trainer's Evaluate, where it has one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, Evaluate)), None)


def entry(protocol: EvaluationProtocol, gan: GAN) -> dict[str, Any]:
    """Values of the generator's average, and the card that says what they are."""
    return carded(protocol, gan, lambda: protocol.measure(gan))


def carded(
    protocol: EvaluationProtocol, gan: GAN, measure: Callable[[], dict[str, float]], weights: str = "ema"
) -> dict[str, Any]:
    """What `measure` finds, with the protocol's card, the model's and that of the code."""
    start = time.perf_counter()
    values = measure()
    seconds = round(time.perf_counter() - start, 2)
    model = {"weights": weights, "images": gan.images_seen, "seed": gan.seed, "seconds": seconds}
    return {"values": values, "card": {**protocol.card(), **model, **provenance()}}


def described(values: dict[str, float]) -> str:
    """'fid 12.34' and the like, for people."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())
