"""last.ckpt, from which training continues as if it had never stopped."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from zerosum.files import save_whole
from zerosum.training.callbacks.schedule import is_due, is_finished
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")


class Checkpoint(Callback):
    """Saves last.ckpt every `every` images and when training ends, after the last evaluation.

    So a last.ckpt at the full budget means that the run was measured and drawn too.
    """

    def __init__(self, folder: str, every: int = 50_000) -> None:
        self.folder = Path(folder)
        self.every = every
        self.saved_at: int | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if is_due(pl_module, self.every) and not is_finished(trainer):
            self.save_last(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self.save_last(trainer, pl_module)

    def save_last(self, trainer: Trainer, module: GenerativeModule) -> None:
        """Save last.ckpt and keep the one before it as previous.ckpt; weights that are not finite are never saved."""
        if module.images_seen == self.saved_at:
            return
        self.saved_at = module.images_seen
        if all(bool(value.isfinite().all()) for value in module.state_dict().values()):
            if trainer.is_global_zero:
                keep_previous(self.folder / "last.ckpt")
            save(trainer, self.folder / "last.ckpt")
        else:
            log.warning("Weights are NaN or infinite: no checkpoint of them is saved.")


def save(trainer: Trainer, path: Path) -> None:
    """Save a checkpoint whole or leave the old one unharmed; every process must call it."""
    if trainer.is_global_zero:
        save_whole(path, trainer.save_checkpoint)
    else:
        trainer.save_checkpoint(path)


def keep_previous(path: Path) -> None:
    """Give the checkpoint at `path` a second name, previous.ckpt, before another takes its place."""
    if path.exists():
        save_whole(path.with_name("previous.ckpt"), lambda partial: link_or_copy(path, partial))


def link_or_copy(path: Path, other: Path) -> None:
    """A hard link, or a copy where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
