"""Start or continue a run, as its config says; from Python as from the command line."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from zerosum.console import ConsoleHandler
from zerosum.experiment.train import Outcome
from zerosum.experiment.train import train as train_new
from zerosum.runs.resume import refuse_to_overwrite, resume, start_or_resume


def train(config: DictConfig) -> Outcome:
    """Train from a config of `compose`, or continue the run that its `resume` names.

    Raises UserError rather than overwrite a run. Messages are printed where no logging has been set up.
    """
    print_messages()
    return start(config, list(config.get("command", {}).get("overrides", [])))


def start(config: DictConfig, overrides: list[str]) -> Outcome:
    """Start, or with `resume` continue; `overrides` are those of the command line."""
    if config.resume == "auto":
        return start_or_resume(config)
    if config.resume is not None:
        return resume(Path(config.resume), overrides, config.trusted, config, config.resume_force)
    refuse_to_overwrite(Path(config.run.folder))
    return train_new(config)


def print_messages() -> None:
    """Print zerosum's messages, unless the program that imports it has handlers of its own."""
    logger = logging.getLogger("zerosum")
    if not logger.hasHandlers():
        logger.addHandler(ConsoleHandler())
        logger.setLevel(logging.INFO)
