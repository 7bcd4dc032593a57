"""After divergence, training goes back to the last checkpoint and continues with half the learning rates."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightning import Callback, LightningModule, Trainer

from zerosum.errors import DivergedError, UserError

log = logging.getLogger("zerosum")
Result = TypeVar("Result")


class SlowDown(Callback):
    """Multiplies the learning rates of the checkpoint, or of the config at the start, by `factor`."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1:
            # A second attempt would start the further processes a second time.
            raise UserError(
                "training.on_nan=rollback needs a single process: choose training.on_nan=stop and resume by hand"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # The checkpoint has been loaded into the optimizers by now.
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= self.factor


def with_rollbacks(
    attempt: Callable[[Path | None, SlowDown], Result], checkpoint: Path | None, last: Path, most: int
) -> Result:
    """Call `attempt` with `checkpoint`; after each DivergedError call it again with `last`, at most `most` times.

    Each further attempt from the same checkpoint halves the learning rates again: otherwise it would be the same one.
    """
    tries: Counter[int] = Counter()
    while True:
        age = checkpoint.stat().st_mtime_ns if checkpoint else 0
        try:
            return attempt(checkpoint, SlowDown(0.5 ** tries[age]))
        except DivergedError as error:
            if tries.total() == most:
                raise
            checkpoint = last if last.exists() else None
            tries[checkpoint.stat().st_mtime_ns if checkpoint else 0] += 1
            log.warning("%s", error)
            log.warning("Going back to %s, half as fast: %d of %d.", checkpoint or "the start", tries.total(), most)
