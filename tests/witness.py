"""Loggers and callbacks that tests add to a run in another process."""

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from lightning import Callback
from lightning.pytorch.loggers import Logger


class Config(Logger):
    """Each process of a run writes the hash of the config that it trains by, into seen_<rank> in the folder."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)

    name = version = ""

    def log_hyperparams(self, params: dict[str, Any], *arguments: Any, **named: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()
        (self.folder / f"seen_{os.environ.get('LOCAL_RANK', 0)}").write_text(digest)

    def log_metrics(self, *arguments: Any, **named: Any) -> None:
        pass


class Signal(Callback):
    """Sends a signal to the first process of a run, in a step."""

    def __init__(self, step: int, name: str) -> None:
        self.step = step
        self.number = signal.Signals[name]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step and trainer.is_global_zero:
            os.kill(os.getpid(), self.number)
