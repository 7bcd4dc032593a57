"""When callbacks act, in images seen."""

from typing import TYPE_CHECKING

from zerosum.errors import UserError

if TYPE_CHECKING:
    from lightning import Trainer

    from zerosum.training.data_module import TrainingData
    from zerosum.training.module import GenerativeModule


def check_interval(callback: str, every: int) -> None:
    """UserError if a callback's `every` is less than one image."""
    if every < 1:
        raise UserError(
            f"callbacks.{callback}.every={every}: choose 1 image or more, or leave the callback out by"
            f" ~callbacks.{callback}"
        )


def is_due(module: "GenerativeModule", every: int) -> bool:
    """Whether the images seen reached or passed a multiple of `every` in the last step."""
    return module.images_seen // every > (module.images_seen - module.last_step.images) // every


def data_of(trainer: "Trainer") -> "TrainingData":
    """The trainer's data module."""
    return trainer.datamodule  # type: ignore[attr-defined]


def budget_of(trainer: "Trainer") -> int:
    """Images seen at the end of training: the budget, rounded up to whole steps."""
    data = data_of(trainer)
    return trainer.max_steps * data.batch_size * data.batches_per_step


def is_finished(trainer: "Trainer") -> bool:
    """Whether the whole budget was used."""
    return trainer.global_step >= trainer.max_steps
