"""Ctrl-C, SIGTERM and SIGUSR1 end training between two steps; `Checkpoint` then saves, as at every end."""

import logging
import signal
import threading
from types import FrameType
from typing import Any

import torch
from lightning import Callback, Trainer

from zerosum.distributed import all_reduce_max
from zerosum.training.callbacks.schedule import is_finished
from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

SIGNALS = [number for name in ("SIGINT", "SIGTERM", "SIGUSR1") if (number := getattr(signal, name, None))]
STEPS_BETWEEN_CHECKS = 10
"""Steps between two exchanges of several processes: each waits for the device, and a cluster gives half a minute"""


class GracefulStop(Callback):
    """Ends training after the present step on a signal, whichever of several processes received it.

    Clusters send SIGTERM or SIGUSR1 when time is up. A second Ctrl-C interrupts the step itself.
    """

    def __init__(self) -> None:
        self.received = 0
        self.agreed = 0
        self.stopped_by: int | None = None
        """The signal that ended training before its budget was used"""
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        """Disable Lightning's own handlers: they save mid-step and block across ranks (private: lightning < 2.7)."""
        self.stopped_by = None
        trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
        # Lightning's own exchange would read a flag from the device at every step of several processes.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """Catch the signals from now on: before, there is nothing to save and they end the process at once."""
        if threading.current_thread() is threading.main_thread():  # no other may handle signals
            self._before = {number: signal.signal(number, self.receive) for number in SIGNALS}

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; a handler should do no more."""
        self.received = number
        if number == signal.SIGINT:
            log.info("Stopping after this step; press Ctrl-C again to stop at once.")
            signal.signal(signal.SIGINT, self._before[signal.SIGINT])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if any process received a signal, all processes at the same step."""
        if trainer.world_size == 1:
            self.agreed = self.received
        elif trainer.global_step % STEPS_BETWEEN_CHECKS == 0:
            message = torch.full((1,), self.received, dtype=torch.int32, device=trainer.strategy.root_device)
            self.agreed = int(all_reduce_max(message))
        if self.agreed:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        """A run that had used its budget by then was not stopped."""
        if self.agreed and not is_finished(trainer):
            self.stopped_by = self.agreed
            log.info("Stopped by %s at %s images.", signal.Signals(self.agreed).name, f"{pl_module.images_seen:,}")

    def teardown(self, trainer: Trainer, pl_module: GenerativeModule, stage: str) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def on_exception(self, trainer: Trainer, pl_module: GenerativeModule, exception: BaseException) -> None:
        """Restore the previous handlers."""
        self.teardown(trainer, pl_module, "fit")
