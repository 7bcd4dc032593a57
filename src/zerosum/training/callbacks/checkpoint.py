"""last.ckpt, from which training continues as if it had never stopped."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zerosum.files import save_whole
from zerosum.training.callbacks.schedule import check_interval, is_due, is_finished
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

BEST_OF_LAST = "best_of_last.ckpt"
"""The best model at the time of last.ckpt: training that continues from there has this best, not a later one."""


class Checkpoint(Callback):
    """Saves last.ckpt after the first step, every `every` images, and when training ends, after the last evaluation.

    So a last.ckpt at the full budget means that the run was measured and drawn too.
    """

    def __init__(self, folder: str, every: int = 50_000) -> None:
        check_interval("checkpoint", every)
        self.folder = Path(folder)
        self.every = every
        self.saved_at: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        if pl_module.images_seen:
            self.saved_at = pl_module.images_seen
            if trainer.is_global_zero and not (self.folder / BEST_OF_LAST).exists():
                keep(self.folder / "best.ckpt", BEST_OF_LAST)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (is_due(pl_module, self.every) or self.saved_at is None) and not is_finished(trainer):
            self.save_last(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self.save_last(trainer, pl_module)
        if trainer.is_global_zero:
            (self.folder / BEST_OF_LAST).unlink(missing_ok=True)  # best.ckpt is the same file

    def save_last(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Save last.ckpt and keep the one before it as previous.ckpt; never save weights that are not finite."""
        if module.images_seen == self.saved_at:
            return
        self.saved_at = module.images_seen
        if all(bool(value.isfinite().all()) for value in module.state_dict().values()):
            if trainer.is_global_zero:
                keep(self.folder / "last.ckpt", "previous.ckpt")
            save(trainer, self.folder / "last.ckpt")
            if trainer.is_global_zero:
                keep(self.folder / "best.ckpt", BEST_OF_LAST)
        else:
            log.warning("Weights are NaN or infinite: no checkpoint of them is saved.")


def save(trainer: Trainer, path: Path) -> None:
    """Save a checkpoint whole or leave the old one unharmed; every process must call it."""
    if trainer.is_global_zero:
        save_whole(path, trainer.save_checkpoint)
    else:
        trainer.save_checkpoint(path)


def keep(path: Path, name: str) -> None:
    """Give the checkpoint at `path` a second name, before another takes its place."""
    if path.exists():
        save_whole(path.with_name(name), lambda partial: link_or_copy(path, partial))


def link_or_copy(path: Path, other: Path) -> None:
    """Make a hard link, or a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
