"""Start or continue a run, as its config says; from Python as from the command line."""

import logging
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from zerosum.console import ConsoleHandler
from zerosum.experiment.train import Outcome
from zerosum.experiment.train import train as train_new
from zerosum.runs.folder import make, remove_after
from zerosum.runs.resume import refuse_to_overwrite, resume, start_or_resume, targets_of

log = logging.getLogger("zerosum")

OWN = ("zerosum.", "torch.optim.", "lightning.Trainer")
"""Targets that any run may name"""


def train(config: DictConfig) -> Outcome:
    """Train from a config of `compose`, or continue the run that its `resume` names.

    Raises UserError rather than overwrite a run, and leaves no folder if it fails before training. Messages are printed
    where no logging has been set up.
    """
    print_messages()
    with suppress(OSError):  # it may be there; what else is wrong is said when it is written to
        make(Path(config.run.folder).absolute())
    try:
        return start(config, list(config.get("command", {}).get("overrides", [])))
    except BaseException as error:
        remove_after(error)
        raise


def start(config: DictConfig, overrides: list[str]) -> Outcome:
    """Start, or with `resume` continue; `overrides` are those of the command line."""
    if config.resume == "auto":
        return start_or_resume(config)
    composed = OmegaConf.to_container(config, resolve=False)
    assert isinstance(composed, dict)
    named = targets_of(composed)  # type: ignore[arg-type]
    if config.resume is not None:
        return resume(Path(config.resume), overrides, [*config.trusted, *named], config, config.resume_force)
    refuse_to_overwrite(Path(config.run.folder))
    foreign = sorted({target.partition(".")[0] for target in named if not target.startswith(OWN)})
    if foreign:
        log.info("The run is made of classes of %s: to open it later, add trusted=[%s].", *2 * [", ".join(foreign)])
    return train_new(config)


def print_messages() -> None:
    """Print zerosum's messages, unless the program that imports it has handlers of its own."""
    logger = logging.getLogger("zerosum")
    if not logger.hasHandlers():
        logger.addHandler(ConsoleHandler())
        logger.setLevel(logging.INFO)
