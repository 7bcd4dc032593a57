"""What a person sees when something is wrong: one sentence, no traceback."""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from zerosum.errors import UserError, did_you_mean


def run_folder(resume: str | None, name: str) -> str:
    """The folder of a run: the one that is resumed, or a new one named after the time."""
    return resume or f"outputs/{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}"


@contextmanager
def explained() -> Iterator[None]:
    """User errors and Hydra's own are printed as one message and end the program with status 1."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except UserError as error:
        stop(str(error))
    except (HydraException, OmegaConfBaseException) as error:
        stop(hydra_message(error))


def stop(message: str) -> None:
    """Print to the console and, where there is one, to the run's log."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.emit(logging.LogRecord("zerosum", logging.ERROR, "", 0, message, None, None))
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def hydra_message(error: Exception) -> str:
    """Hydra's message on one line, with the nearest options where an option is unknown."""
    cause: BaseException = error
    while isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
    first = str(error).splitlines()[0]
    unknown = re.search(r"Could not override '([^']+)'", str(error))
    if unknown is None:
        return " ".join(str(error).split())
    return f"{first.rstrip('.')}: there is no such option.{nearest(unknown[1])}"


def nearest(key: str) -> str:
    """The options of the default config that look like `key`."""
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    if not GlobalHydra.instance().is_initialized():
        return ""
    config = OmegaConf.to_container(compose("config"), resolve=False)
    return did_you_mean(key, dotted(config))


def dotted(node: object, prefix: str = "") -> list[str]:
    """Every key of a nested dictionary, as written on the command line."""
    if not isinstance(node, dict):
        return []
    return [
        name for key, value in node.items() for name in [f"{prefix}{key}", *dotted(value, f"{prefix}{key}.")]
    ]
