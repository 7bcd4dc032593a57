"""Train a model: zerosum train model=dcgan loss=nonsat. Options: zerosum train --help"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.commands.seeds import expand_seeds
from zerosum.commands.sweeps import refuse_processes
from zerosum.console import CONSOLE
from zerosum.errors import printable
from zerosum.experiment.compose import CONF
from zerosum.experiment.early_checks import check_first, check_light_parts
from zerosum.training.lock import is_first_process


@command
def main() -> None:
    """Train once, or once for each job of a sweep."""
    sys.argv[1:] = expand_seeds(sys.argv[1:])
    train()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def train(config: DictConfig) -> float | list[float] | None:
    """Train, or continue with `resume`; returns the value, or values, that `objective` names, for sweepers."""
    hydra_config = HydraConfig.get()
    if hydra_config.mode is RunMode.MULTIRUN:
        refuse_processes(config.trainer)
    # A job of a sweep raises, so that Hydra names it and continues with the others.
    with errors_as_sentences() if hydra_config.mode is RunMode.RUN else nullcontext():
        return run(config, list(hydra_config.overrides.task))


def run(config: DictConfig, overrides: list[str]) -> float | list[float] | None:
    """Imports what takes seconds only now, so that --help and mistyped options answer at once."""
    if config.resume in (None, "auto"):
        check_first(config)
        if is_first_process():
            CONSOLE.out(f"Starting {printable(config.run.name)} ...", highlight=False)
    with without_garbage_collection():
        if config.resume in (None, "auto"):
            check_light_parts(config)
        from zerosum.runs.start import start

    outcome = start(config, overrides)
    if outcome.stopped_by is not None:
        sys.exit(128 + outcome.stopped_by)  # as if it had died of the signal: whoever started it can tell
    evaluate, objective = outcome.evaluate, config.objective
    if evaluate is None or not objective:
        return None
    return evaluate.objective(objective) if isinstance(objective, str) else [*map(evaluate.objective, objective)]


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch it off for imports: the objects stay, and looking through them for garbage takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


if __name__ == "__main__":
    main()
