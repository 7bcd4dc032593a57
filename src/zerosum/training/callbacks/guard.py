"""Stops training at a NaN or infinite loss, or when the model generates one image from every seed."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zerosum.distributed import all_reduce_max
from zerosum.errors import DivergedError
from zerosum.training.callbacks.schedule import check_interval, is_due
from zerosum.training.module import GenerativeModule

GRAY_LEVEL = 1 / 127.5
"""One of 256 gray levels, of images in [-1, 1]"""
STEPS_BETWEEN_CHECKS = 10
"""On a GPU or with several processes, where each check waits for all of them"""


class DivergenceGuard(Callback):
    """Raises DivergedError at the first NaN or infinite loss, and when the generator has become constant.

    With `collapse`, samples that once varied by more than a gray level and no longer do end training; they are compared
    every `every` images. On a GPU, and with several processes, a bad step is noticed up to ten steps later.
    """

    def __init__(self, every: int = 2_000, collapse: bool = True) -> None:
        check_interval("guard", every)
        self.every = every
        self.collapse = collapse
        self.has_varied = False
        self.diverged: Tensor | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check losses, and samples if due; all processes do so at the same steps."""
        step, due = pl_module.last_step, is_due(pl_module, self.every)
        bad = ~sum(step.losses.values(), torch.zeros(())).isfinite()
        self.diverged = bad if self.diverged is None else self.diverged | bad
        waits = trainer.world_size > 1 or pl_module.device.type != "cpu"
        if waits and trainer.global_step % STEPS_BETWEEN_CHECKS and not due:
            return
        flags = [self.diverged, *([is_constant(step.samples)] if due and step.samples is not None else [])]
        diverged, *constant = in_any_process(flags) if trainer.world_size > 1 else map(bool, flags)
        if diverged:
            losses = ", ".join(f"loss_{name} is {float(loss):.3g}" for name, loss in step.losses.items())
            self.stop(trainer, pl_module, losses)
        for found in constant:
            self.stop_if_constant(trainer, pl_module, found)

    def stop_if_constant(self, trainer: Trainer, module: GenerativeModule, constant: bool) -> None:
        """Stop if samples varied before and no longer do; an untrained generator may be constant."""
        if self.collapse and self.has_varied and constant:
            self.stop(trainer, module, "the generator makes the same image from every z")
        self.has_varied = self.has_varied or not constant

    def stop(self, trainer: Trainer, module: GenerativeModule, reason: str) -> None:
        """Raise DivergedError with advice."""
        raise DivergedError(
            f"training ended at {module.images_seen:,} images: {reason}. Lower optimizer.lr, raise gamma, or set"
            f" training.on_nan=rollback; {last_checkpoint(trainer)}"
        )

    def state_dict(self) -> dict[str, Any]:
        return {"has_varied": self.has_varied}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.has_varied = bool(state_dict["has_varied"])


def in_any_process(flags: list[Tensor]) -> list[bool]:
    """Which flags are set in one process or more."""
    return all_reduce_max(torch.stack(flags).to(torch.uint8)).bool().tolist()


def is_constant(samples: Tensor) -> Tensor:
    """Whether all samples (B, ...) are within a gray level of their mean; a batch of one always is."""
    return (samples - samples.mean(0)).abs().max() < GRAY_LEVEL


def last_checkpoint(trainer: Trainer) -> str:
    """Path of the last checkpoint, as part of a sentence."""
    path = Path(trainer.default_root_dir) / "last.ckpt"
    return f"the last checkpoint is {path}" if path.exists() else "there is no checkpoint yet"
