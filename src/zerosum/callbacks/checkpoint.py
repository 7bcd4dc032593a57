"""last.ckpt, from which training goes on as if it had never stopped."""

import logging
import os
import shutil
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, Trainer

from zerosum.callbacks import passed
from zerosum.files import saved_whole
from zerosum.gan import GAN

log = logging.getLogger("zerosum")


class Checkpoint(Callback):
    """Saves last.ckpt every `every` images, at the end, and when Ctrl-C stops training between two steps."""

    def __init__(self, folder: str, every: int = 50_000) -> None:
        self.folder = Path(folder)
        self.every = every
        self.saved_at: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """From here on the first Ctrl-C asks for the end of the step, the second interrupts it."""

        def stop(number: int, frame: FrameType | None) -> None:
            log.info("Stopping after this step; once more to stop at once.")
            trainer.should_stop = True
            signal.signal(signal.SIGINT, self._before)

        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may handle signals
        self._before: Any = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, stop)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """When due."""
        if passed(pl_module, self.every):
            self.save_last(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """Always, so that nothing is lost."""
        self.save_last(trainer, pl_module)

    def save_last(self, trainer: Trainer, gan: GAN) -> None:
        """last.ckpt, the one before it as previous.ckpt; never weights that are no numbers."""
        if gan.images_seen == self.saved_at:
            return
        self.saved_at = gan.images_seen
        if all(bool(value.isfinite().all()) for value in gan.state_dict().values()):
            if trainer.is_global_zero:
                keep_previous(self.folder / "last.ckpt")
            save(trainer, self.folder / "last.ckpt")
        else:
            log.warning("Weights are NaN or infinite: no checkpoint is saved of them.")

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        """Ctrl-C means again what it meant before."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        """Ctrl-C means again what it meant before."""
        if hasattr(self, "_before"):
            signal.signal(signal.SIGINT, self._before)


def save(trainer: Trainer, path: Path) -> None:
    """A whole checkpoint at `path`, or the old one unharmed; every process must call it."""
    if trainer.is_global_zero:
        saved_whole(path, trainer.save_checkpoint)
    else:
        trainer.save_checkpoint(path)


def keep_previous(path: Path) -> None:
    """The checkpoint at `path` under a second name, previous.ckpt, before another takes its place."""
    if path.exists():
        saved_whole(path.with_name("previous.ckpt"), lambda partial: linked(path, partial))


def linked(path: Path, other: Path) -> None:
    """The same file twice, copied where the file system has no links."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
