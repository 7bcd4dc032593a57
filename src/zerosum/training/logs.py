"""What callbacks pass to every logger: values, pictures and histograms, under the section of a dashboard."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lightning import Trainer
    from PIL import Image
    from torch import Tensor

    from zerosum.training.module import GenerativeModule

log = logging.getLogger("zerosum")

Section = Literal["game", "quality", "samples", "speed", "doctor"]
"""The first part of each name, which W&B and TensorBoard make a section of their dashboards"""


def in_section(section: Section, values: dict[str, float]) -> dict[str, float]:
    """The values under the names `section/name`."""
    return {f"{section}/{name}": value for name, value in values.items()}


def log_values(trainer: "Trainer", module: "GenerativeModule", values: dict[str, float]) -> None:
    """Log to every logger, with the images seen; `step` counts steps, as in Lightning's own callbacks.

    Callbacks with a method `observe` see the values too.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if hasattr(callback, "observe"):
            callback.observe(module.images_seen, values)
    for logger in trainer.loggers:
        logger.log_metrics({"images": module.images_seen, **values}, step=trainer.global_step)


def log_picture(trainer: "Trainer", module: "GenerativeModule", name: str, picture: "Image.Image") -> None:
    """Pass a picture to the loggers that take images."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_image"):
            caption = [f"{module.images_seen:,} images seen"]
            logger.log_image(f"samples/{name}", [picture], step=trainer.global_step, caption=caption)


def log_film(trainer: "Trainer", path: Path) -> None:
    """Pass the film of training, a GIF file, to the loggers that take films."""
    for logger in trainer.loggers if path.is_file() else ():
        if hasattr(logger, "log_video"):
            logger.log_video("samples/training", [str(path)], step=trainer.global_step, format=["gif"])


def log_histogram(
    trainer: "Trainer", module: "GenerativeModule", section: Section, name: str, values: "Tensor"
) -> None:
    """Pass values, of any shape, to the loggers that draw histograms."""
    for logger in trainer.loggers:
        if hasattr(logger, "log_histogram"):
            logger.log_histogram(f"{section}/{name}", values, step=trainer.global_step)


def log_alert(trainer: "Trainer", title: str, text: str) -> None:
    """Pass a message to the loggers that alert people."""
    for logger in trainer.loggers:
        if hasattr(logger, "alert"):
            logger.alert(title, text)


def log_better(trainer: "Trainer", section: Section, directions: Mapping[str, str]) -> None:
    """Tell the loggers that summarize a run which way each value is better, 'lower' or 'higher'."""
    for logger in trainer.loggers:
        if hasattr(logger, "define_better"):
            logger.define_better({f"{section}/{name}": better for name, better in directions.items()})
