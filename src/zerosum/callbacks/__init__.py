"""All that happens around training: each callback says in images when it acts."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning import Trainer

    from zerosum.gan import GAN


def passed(gan: "GAN", every: int) -> bool:
    """Whether the last step took the clock to or past a multiple of `every` images."""
    return gan.images_seen // every > (gan.images_seen - gan.turn.images) // every


def finished(trainer: "Trainer") -> bool:
    """Whether the whole budget was spent, as against an interruption."""
    return trainer.global_step >= trainer.max_steps


def log_metrics(trainer: "Trainer", gan: "GAN", metrics: dict[str, float]) -> None:
    """To every logger, against images seen."""
    for logger in trainer.loggers:
        logger.log_metrics({"images": gan.images_seen, **metrics}, step=gan.images_seen)
