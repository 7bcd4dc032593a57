"""What a person sees when something is wrong: one sentence, no traceback."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, wraps
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from zerosum.commands.threads import prepare_threads
from zerosum.errors import UserError, is_out_of_memory, make_record_printable
from zerosum.experiment.compose import hydra_errors_as_user_errors, new_folder
from zerosum.files import suggest_remedy
from zerosum.runs.folder import TRACES, make, make_folder, remove_made


class LogFile(logging.FileHandler):
    """console.log of a run folder, as UTF-8, made by the first message.

    A symbolic link in its place, from elsewhere, is not followed.
    """

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8", delay=True)

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if path.is_symlink():
            path.unlink()
        return super()._open()


class RunFolder(Callback):
    """Makes the folder of a run or a sweep before Hydra would, so that a failed command knows whether it made it."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make hydra.run.dir, unless it is there."""
        make_first(config, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make hydra.sweep.dir, unless it is there."""
        make_first(config, "hydra.sweep.dir")


def make_first(config: DictConfig, key: str) -> None:
    """Make the folder that the config names; an error is left to Hydra, which meets it next and lets it pass."""
    with suppress(Exception):
        HydraConfig.instance().set_config(config)  # as Hydra does next: ${hydra:...} of the folder's name looks there
        make(Path(str(OmegaConf.select(config, key))).absolute())


@cache  # Hydra asks several times
def run_folder(resume: str | None, name: str) -> str:
    """The folder of a run: the one that is resumed, or a new one named after the time; with `auto` always the same."""
    if resume == "auto":
        return f"outputs/{name}"
    return resume or make_folder(new_folder(name))


def command(main: Callable[[], object]) -> Callable[[], None]:
    """Make a function the program's entry: errors become sentences, and own classes in the working directory import."""

    @wraps(main)
    def run() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # so that errors leave Hydra as they are
        prepare_threads()
        logging.getLogger("zerosum").addFilter(make_record_printable)
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        OmegaConf.register_new_resolver("run_folder", run_folder, replace=True)
        with errors_as_sentences(sys.modules[main.__module__].__dict__.get("CONFIG_NAME", "config")):
            main()

    return run


@contextmanager
def errors_as_sentences(config_name: str = "config") -> Iterator[None]:
    """Print errors of the user, of Hydra and of files as one message and end the program with status 1."""
    try:
        with hydra_errors_as_user_errors(config_name, typed_words()), nothing_left():
            yield
    except UserError as error:
        stop(str(error))
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "Interrupted before there was anything to save.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        stop(
            "there is not enough memory: choose a smaller training.batch_size, more training.accumulate, a smaller"
            " model or image, or fewer samples"
        )
    except (OSError, ValueError) as error:
        # logging.config wraps the error of a log file in a ValueError.
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.filename is None:
            raise
        stop(f"{cause.filename}: {cause.strerror}; {suggest_remedy(cause)}")


@contextmanager
def nothing_left() -> Iterator[None]:
    """Remove the run folder that this process made, if the command fails before there is anything in it to keep."""
    try:
        yield
    except BaseException as error:
        is_interrupt = isinstance(error.__context__, KeyboardInterrupt) and getattr(error, "code", 1) == 1
        if isinstance(error, SystemExit) and not is_interrupt:
            raise  # an error that was told already, or a training that was stopped
        # config.yaml is written shortly before training: an error there says whether it began.
        came_before = is_before_training(error)
        for folder in remove_made({*TRACES, "config.yaml"} if came_before else TRACES):
            close_log(folder / "console.log")
        if isinstance(error, SystemExit):  # Lightning's answer to Ctrl-C
            later = "Interrupted within a step: continue from the last checkpoint with the option resume."
            raise KeyboardInterrupt(*([] if came_before else [later])) from error
        raise


def is_before_training(error: BaseException) -> bool:
    """Whether the callback `Banner` marked the error, or the one that led to it, as one before the first step."""
    marks = [getattr(each, "before_training", None) for each in (error, error.__context__, error.__cause__)]
    return True in marks and False not in marks


def close_log(path: Path) -> None:
    """Close the log file: a later message would make it again."""
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path:
            logging.getLogger().removeHandler(handler)
            handler.close()


def typed_words() -> list[str]:
    """The overrides of the command line; a folder of one's own configs as Hydra's search path."""
    words = sys.argv[1:]
    folders = [after for word, after in pairwise(words) if word in ("--config-dir", "-cd")]
    folders += [word.partition("=")[2] for word in words if word.startswith("--config-dir=")]
    search = [f"hydra.searchpath=[{','.join(f'file://{Path(folder).absolute()}' for folder in folders)}]"]
    return [word for word in words if "=" in word and not word.startswith("-")] + (search if folders else [])


def stop(message: str) -> None:
    """Print to the console and, if this process has written to it, to the run's log: it may be another process's."""
    from zerosum.console import DISPLAY  # --help need not wait for its import

    DISPLAY.close()
    write_to_log(message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def write_to_log(message: str) -> None:
    """Write an error to the run's log alone, if this process has written to it."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            handler.emit(logging.LogRecord("zerosum", logging.ERROR, "", 0, message, None, None))
