"""A progress bar: images seen, speed, losses and metrics."""

import logging
import time
from typing import Any

from lightning import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from zerosum.training.callbacks.evaluate import evaluation_of
from zerosum.training.callbacks.schedule import budget_of, is_due
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

REFRESH_SECONDS = 1.0
LINES = 10


class ProgressBar(Callback):
    """Shows images seen, images/s, losses, the last and best value of the first metric, and the time left.

    Without a terminal, a line is logged at every tenth of the budget.
    """

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self._budget = budget_of(trainer)
        self._started, self._from = time.perf_counter(), pl_module.images_seen
        self._refreshed = 0.0
        self._bar: Progress | None = None
        console = Console(stderr=True)
        if console.is_terminal and trainer.is_global_zero:
            columns = (TextColumn("{task.fields[images]}"), BarColumn(20), TextColumn("{task.fields[state]}"))
            self._bar = Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False)
            self._task: TaskID = self._bar.add_task("", total=self._budget, images="", state="")
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Drawing takes 15 ms, so the bar is drawn once a second.
        now = time.perf_counter()
        if self._bar is not None and now - self._refreshed > REFRESH_SECONDS:
            self._refreshed = now
            seen, state = pl_module.images_seen, self.state(trainer, pl_module)
            images = f"{seen:,}/{self._budget:,} images"
            self._bar.update(self._task, completed=seen, images=images, state=state)
            self._bar.refresh()
        elif self._bar is None and is_due(pl_module, max(1, self._budget // LINES)):
            seen, state = pl_module.images_seen, self.state(trainer, pl_module)
            log.info("%s/%s images  %s", f"{seen:,}", f"{self._budget:,}", state)

    def state(self, trainer: Trainer, module: GenerativeModule) -> str:
        """Speed, losses and metrics in one line."""
        speed = (module.images_seen - self._from) / (time.perf_counter() - self._started)
        return f"{speed:,.0f}/s  {module.headline()}{quality(trainer)}"

    def teardown(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        if getattr(self, "_bar", None) is not None:
            assert self._bar is not None
            self._bar.stop()


def quality(trainer: Trainer) -> str:
    """'  fid 12.3 (best 11.0)': last and best value of the first metric; '' before the first evaluation."""
    evaluate = evaluation_of(trainer)
    if evaluate is None or evaluate.best is None:
        return ""
    name, last = next(iter(evaluate.history[-1].values.items()))
    return f"  {name} {last:.4g} (best {evaluate.best.values[name]:.4g})"
