"""A progress bar: images seen, speed, losses and metrics."""

import logging
import time
from typing import Any

from lightning import Callback, Trainer
from rich.console import Group, RenderableType
from rich.text import Text

from zerosum.console import DISPLAY, bar_line, columns_of, shows_bars, time_left
from zerosum.errors import printable
from zerosum.training.callbacks.evaluate import evaluation_of
from zerosum.training.callbacks.schedule import budget_of, is_due, is_finished
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

REFRESH_SECONDS = 1.0
LINES = 10
WIDE_BAR = 20


class ProgressBar(Callback):
    """Shows images seen, images/s, losses, the last and best value of the first metric, and the time left.

    Speed and time left are those of training alone. Without a terminal, a line is logged at every tenth of the budget.
    """

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self._from, self._refreshed = pl_module.images_seen, 0.0
        self.line = TrainingLine(budget_of(trainer))
        self._is_drawn = trainer.is_global_zero and shows_bars()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Drawing takes 15 ms, so the bar is drawn once a second, and at the end, which an evaluation follows.
        now = time.perf_counter()
        if self._is_drawn and (now - self._refreshed > REFRESH_SECONDS or is_finished(trainer)):
            self._refreshed = now
            self.update(trainer, pl_module)
            DISPLAY.show(self.line)
        elif not self._is_drawn and is_due(pl_module, max(1, self.line.budget // LINES)):
            self.update(trainer, pl_module)
            log.info("%s", self.line)

    def update(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Take over the module's present values."""
        speed = (module.images_seen - self._from) / module.seconds_trained if module.seconds_trained else None
        self.line.update(module.images_seen, speed, module.headline(), quality(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Draw the last state, which stays on the terminal."""
        if self._is_drawn and pl_module.images_seen > self._from:
            self.update(trainer, pl_module)
            DISPLAY.show(self.line)
            DISPLAY.finish(self.line)

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModule, exception: BaseException) -> None:
        """Leave the bar where it was, so that the error stands below it."""
        if getattr(self, "line", None) is not None:
            DISPLAY.finish(self.line)


class TrainingLine:
    """The bar's texts: on one line where all of them fit, else on two."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.update(0, None, "", "")

    def update(self, seen: int, speed: float | None, losses: str, metric: str) -> None:
        """Set the values; `speed` is in images/s."""
        self.seen = seen
        self.images = f"{seen:,}/{self.budget:,} images"
        self.speed = "" if speed is None else f"{speed:,.0f}/s"
        self.left = time_left((self.budget - seen) / speed if speed else None)
        self.losses = printable(losses)
        self.metric = printable(metric)

    def __str__(self) -> str:
        """All texts, for a log."""
        return "  ".join(filter(None, [self.images, self.speed, self.losses, self.metric, self.left]))

    def __call__(self, width: int) -> RenderableType:
        values = list(filter(None, [self.losses, self.metric]))
        texts = [self.speed, *values, self.left]
        if columns_of([self.images, *texts]) + 2 + WIDE_BAR <= width:
            return bar_line(self.images, self.seen, self.budget, texts, width)
        first = bar_line(self.images, self.seen, self.budget, [self.speed, self.left], width)
        second = Text("  ".join(shorten(self.losses, self.metric, width)), no_wrap=True, overflow="ellipsis")
        return Group(first, second)


def shorten(losses: str, metric: str, width: int) -> list[str]:
    """Losses and metric in at most `width` columns: the last losses give way first, then the best value."""
    parts = losses.split("  ")
    while parts and columns_of([*parts, metric]) > width:
        parts.pop()
    texts = list(filter(None, [*parts, metric]))
    return texts if columns_of(texts) <= width else [metric.partition(" (")[0]]


def quality(trainer: Trainer) -> str:
    """'fid 12.3 (best 11.0)': last and best value of the first metric; '' before the first evaluation."""
    evaluate = evaluation_of(trainer)
    if evaluate is None or evaluate.best is None:
        return ""
    name, last = next(iter(evaluate.history[-1].values.items()))
    return f"{name} {last:.4g} (best {evaluate.best.values[name]:.4g})"
