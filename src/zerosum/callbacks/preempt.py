"""SIGTERM and SIGUSR1, by which clusters say that time is up: finish the step, save, leave."""

import logging
import signal
import sys
import threading
from types import FrameType
from typing import Any, ClassVar

import torch
from lightning import Callback, Trainer

from zerosum.callbacks import finished
from zerosum.gan import GAN

log = logging.getLogger("zerosum")

SIGNALS = [number for name in ("SIGTERM", "SIGUSR1") if (number := getattr(signal, name, None))]
STEPS = 10
"""Several processes ask each other this often: it waits for the device, and a cluster gives at least half a minute."""


class Preempt(Callback):
    """Ends training between two steps on SIGTERM or SIGUSR1, whichever of several processes got it.

    `Checkpoint` then saves, as at every end. The processes agree on the step, on that of Ctrl-C too. Stands last among
    the callbacks, so that nothing comes between its decision and the loop that reads it.
    """

    stopped_by: ClassVar[int | None] = None
    """The signal that ended this process's last training early, where it is the first process."""

    def __init__(self) -> None:
        self.received = 0
        self.interrupted = False
        self.asked = 0
        self.before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        """Lightning's own answers off, which save amid a step and wait for each other (private: lightning < 2.7)."""
        Preempt.stopped_by = None
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        # This one reads a flag from the device in every step of several processes.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """From here on there is something to save; until now the signals ended the process at once."""
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.receive) for number in SIGNALS}

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler; it only takes a note."""
        self.received = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop, if any process was asked to."""
        if trainer.world_size == 1:
            self.asked = self.received
        else:
            # Ctrl-C has set it in this process, others may be a step behind: all stop when all know.
            self.interrupted, trainer.should_stop = self.interrupted or trainer.should_stop, False
            if trainer.global_step % STEPS == 0:
                own = max(self.received, signal.SIGINT * self.interrupted)
                self.asked = greatest(own, trainer.strategy.root_device)
        if self.asked:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:
        """Say so; a run that had spent its budget by then was not stopped."""
        if self.asked in SIGNALS and not finished(trainer) and trainer.is_global_zero:
            Preempt.stopped_by = self.asked
            log.info("Stopped by %s at %s images.", signal.Signals(self.asked).name, f"{pl_module.images_seen:,}")

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
        """The signals mean again what they meant before."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:
        """The signals mean again what they meant before."""
        self.teardown(trainer, pl_module, "fit")


def greatest(number: int, device: torch.device) -> int:
    """The greatest of all processes' numbers."""
    message = torch.full((1,), number, dtype=torch.int32, device=device)
    torch.distributed.all_reduce(message, torch.distributed.ReduceOp.MAX)
    return int(message)


def leave_if_stopped() -> None:
    """End the program with 128 + the signal's number, as if it had died of it: whoever started it can tell."""
    if Preempt.stopped_by is not None:
        sys.exit(128 + Preempt.stopped_by)
