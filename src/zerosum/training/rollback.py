"""Back to the last checkpoint with half the learning rates, where training has diverged."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lightning import Callback, LightningModule, Trainer

from zerosum.training.callbacks.guard import DivergedError
from zerosum.errors import UserError

log = logging.getLogger("zerosum")
Result = TypeVar("Result")


class SlowDown(Callback):
    """Learning rates `factor` times those of the checkpoint, or of the config at the start."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """One process alone can go back: others would be started a second time."""
        if trainer.world_size > 1:
            raise UserError("training.on_nan=rollback is for one process: take training.on_nan=stop and resume by hand")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once the optimizers are what the checkpoint says."""
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= self.factor


def with_rollbacks(
    attempt: Callable[[Path | None, SlowDown], Result], checkpoint: Path | None, last: Path, most: int
) -> Result:
    """`attempt` from `checkpoint`; each time that it diverges again from `last`, at most `most` times.

    From the same checkpoint every further attempt is twice as slow, since it would be the same one otherwise.
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
