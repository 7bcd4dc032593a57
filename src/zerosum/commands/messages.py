"""What a person sees when something is wrong: one sentence, no traceback."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

from zerosum.errors import UserError, did_you_mean


class LogFile(logging.FileHandler):
    """console.log of a run folder; a link in its place, which a folder from elsewhere may have, is not followed."""

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if path.is_symlink():
            path.unlink()
        return super()._open()


def run_folder(resume: str | None, name: str) -> str:
    """The folder of a run: the one that is resumed, or a new one named after the time; with `auto` always the same."""
    if resume == "auto":
        return f"outputs/{name}"
    return resume or f"outputs/{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}"


@contextmanager
def explained(conf: Path) -> Iterator[None]:
    """User errors and Hydra's own are printed as one message and end the program with status 1.

    `conf` is the folder of the configs, where unknown options are looked up.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except UserError as error:
        stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        stop(hydra_message(str(error), conf))


def stop(message: str) -> None:
    """Print to the console and, where there is one, to the run's log."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(logging.LogRecord("zerosum", logging.ERROR, "", 0, message, None, None))
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def hydra_message(message: str, conf: Path) -> str:
    """Hydra's message on one line, with the nearest options where an option is unknown."""
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown is None:
        return " ".join(message.split("Config search path")[0].split())
    return f"{unknown[1]}: there is no such option.{did_you_mean(unknown[1], options(conf))}"


def options(conf: Path) -> list[str]:
    """Every key of the default config and every group, as written on the command line."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(conf.absolute()), version_base="1.3"):
        keys = dotted(OmegaConf.to_container(compose("config"), resolve=False))
    return keys + [folder.name for folder in conf.iterdir() if folder.is_dir()]


def dotted(node: object, prefix: str = "") -> list[str]:
    """Every key of a nested dictionary, with dots."""
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in [f"{prefix}{key}", *dotted(value, f"{prefix}{key}.")]]
