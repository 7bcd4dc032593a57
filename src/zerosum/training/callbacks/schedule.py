"""When callbacks act, stated in images seen, and where their values go."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning import Trainer

    from zerosum.training.data_module import TrainingData
    from zerosum.training.module import GenerativeModule


def is_due(module: "GenerativeModule", every: int) -> bool:
    """Whether the last step took the clock to or past a multiple of `every` images."""
    return module.images_seen // every > (module.images_seen - module.last_step.images) // every


def data_of(trainer: "Trainer") -> "TrainingData":
    """The data module that is trained on."""
    return trainer.datamodule  # type: ignore[attr-defined]


def budget_of(trainer: "Trainer") -> int:
    """Images that will have been seen at the end: the budget, rounded up to whole steps."""
    data = data_of(trainer)
    return trainer.max_steps * data.batch_size * data.batches_per_step


def is_finished(trainer: "Trainer") -> bool:
    """Whether the whole budget was used, as against an interruption."""
    return trainer.global_step >= trainer.max_steps


def log_metrics(trainer: "Trainer", module: "GenerativeModule", metrics: dict[str, float]) -> None:
    """Log to every logger, against images seen."""
    for logger in trainer.loggers:
        logger.log_metrics({"images": module.images_seen, **metrics}, step=module.images_seen)
