"""Stops training where there is nothing left to train: numbers that are none, or one picture for every z."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zerosum.callbacks import passed
from zerosum.errors import UserError
from zerosum.gan import GAN

LEVEL = 1 / 127.5
"""One gray level of pictures in [-1, 1]."""
TOGETHER = 10
"""Steps between two agreements of several processes, each of which waits for all of them."""


class DivergedError(UserError):
    """Training cannot go on from here, but from an earlier checkpoint it may."""


class Guard(Callback):
    """Raises `DivergedError` at the first loss that is NaN or infinite, and when the generator has become constant.

    Constant is: `collapse` is true, samples once differed by more than a gray level, and are found not to; they are
    looked at every `every` images. On a GPU, and with several processes, what a step did is looked at some steps later,
    since looking waits for it.
    """

    def __init__(self, every: int = 2_000, collapse: bool = True) -> None:
        self.every = every
        self.collapse = collapse
        self.differed = False
        self.broken: Tensor | None = None

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look, in all processes at the same steps."""
        turn = pl_module.turn
        alone = trainer.world_size == 1 and pl_module.device.type == "cpu"
        bad = ~(turn.discriminator_loss + turn.generator_loss).isfinite()
        self.broken = bad if self.broken is None else self.broken | bad
        if not alone and trainer.global_step % TOGETHER and not passed(pl_module, self.every):
            return
        due = passed(pl_module, self.every)
        found = shared(torch.stack([self.broken, *([self.constant(turn.fakes)] if due else [])]))
        if found[0]:
            costs = (float(cost) for cost in (turn.discriminator_loss, turn.generator_loss))
            self.stop(trainer, pl_module, "J_D is {:.3g}, J_G {:.3g}".format(*costs))
        if len(found) > 1:
            self.stop_if_constant(trainer, pl_module, found[1])

    def constant(self, fakes: Tensor) -> Tensor:
        """Whether samples (B, ...) differ from their mean by no more than a gray level; true of a batch of one."""
        return (fakes - fakes.mean(0)).abs().max() < LEVEL

    def stop_if_constant(self, trainer: Trainer, gan: GAN, constant: bool) -> None:
        """A generator begins constant: it is an end only where it was not so before."""
        if self.collapse and self.differed and constant:
            self.stop(trainer, gan, "the generator makes one picture of every z")
        self.differed = self.differed or not constant

    def stop(self, trainer: Trainer, gan: GAN, what: str) -> None:
        """Say what happened and what to do."""
        raise DivergedError(
            f"training ended at {gan.images_seen:,} images: {what}. Lower optimizer.lr, raise gamma, or set"
            f" game.on_nan=rollback; {last_good(trainer)}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Whether samples differed yet."""
        return {"differed": self.differed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As saved."""
        self.differed = state_dict["differed"]


def last_good(trainer: Trainer) -> str:
    """Where the last checkpoint is."""
    path = Path(trainer.default_root_dir) / "last.ckpt"
    return f"the last checkpoint is {path}" if path.exists() else "there is no checkpoint yet"


def shared(flags: Tensor) -> list[bool]:
    """Which of the flags is set in any process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        flags = flags.to(torch.uint8)
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
    return flags.bool().tolist()
