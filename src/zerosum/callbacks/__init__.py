"""All that happens around training: each callback says in images when it acts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning import Trainer

    from zerosum.data.training import TrainingData
    from zerosum.gan import GAN


def passed(gan: "GAN", every: int) -> bool:
    """Whether the last step took the clock to or past a multiple of `every` images."""
    return gan.images_seen // every > (gan.images_seen - gan.turn.images) // every


def data_of(trainer: "Trainer") -> "TrainingData":
    """What the trainer trains on."""
    return trainer.datamodule  # type: ignore[attr-defined]


def budget_of(trainer: "Trainer") -> int:
    """Real images that D will have been shown at the end, whole steps of them."""
    data = data_of(trainer)
    return trainer.max_steps * data.batch_size * data.critic_steps


def finished(trainer: "Trainer") -> bool:
    """Whether the whole budget was spent, as against an interruption."""
    return trainer.global_step >= trainer.max_steps


def log_metrics(trainer: "Trainer", gan: "GAN", metrics: dict[str, float]) -> None:
    """To every logger, against images seen."""
    for logger in trainer.loggers:
        logger.log_metrics({"images": gan.images_seen, **metrics}, step=gan.images_seen)
