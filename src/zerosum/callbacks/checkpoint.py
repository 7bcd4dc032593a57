"""last.ckpt, from which training goes on as if it had never stopped."""

import logging
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
            save(trainer, self.folder / "last.ckpt")

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """Always, so that nothing is lost."""
        save(trainer, self.folder / "last.ckpt")

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
