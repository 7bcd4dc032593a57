"""What a person sees when something is wrong: one sentence, no traceback."""

import hashlib
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
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from zerosum.commands.threads import prepare_threads
from zerosum.errors import UserError, is_out_of_memory, make_record_printable, one_line
from zerosum.experiment.compose import hydra_errors_as_user_errors, new_folder
from zerosum.files import save_whole, suggest_remedy
from zerosum.runs.folder import TRACES, clear, is_before_training, make, make_folder, remove_after
from zerosum.training.lock import is_first_process

log = logging.getLogger("zerosum")


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
        """Make hydra.sweep.dir, unless it is there; with resume=auto it is the one of the same command."""
        if config.get("resume") == "auto":
            keep_folder(config)
        make_first(config, "hydra.sweep.dir")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Log why a job of a sweep failed; before training its console.log with the reason is all that stays of it."""
        if config.hydra.get("mode") is RunMode.RUN or job_return.status is not JobStatus.FAILED:
            return
        error, folder = job_return._return_value, Path(config.hydra.runtime.output_dir)
        log.error("%s", str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {one_line(error)}")
        if is_first_process():
            with suppress(OSError, UserError):
                keep_the_log(folder, error)


def keep_folder(config: DictConfig) -> None:
    """Name the sweep's folder after its command, for all of its jobs, unless the folder is typed."""
    overrides = config.hydra.overrides
    if any(str(override).startswith("hydra.sweep.dir=") for override in overrides.hydra):
        return
    words = sorted(map(str, OmegaConf.to_container(overrides.task, resolve=False)))  # type: ignore[arg-type]
    folder = f"outputs/sweep_{hashlib.sha256(repr(words).encode()).hexdigest()[:12]}"
    with read_write(config), open_dict(config):
        config.hydra.sweep.dir = folder
        overrides.hydra.append(f"hydra.sweep.dir={folder}")  # launchers compose each job anew


def keep_the_log(folder: Path, error: BaseException) -> None:
    """Remove what else the job left in its folder, if it failed before training."""
    text = (folder / "console.log").read_bytes()
    if clear(folder, {*TRACES, "config.yaml"} if is_before_training(error) else TRACES):
        close_log(folder / "console.log")
        save_whole(folder / "console.log", lambda partial: partial.write_bytes(text))


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
        for folder in remove_after(error):
            close_log(folder / "console.log")
        if isinstance(error, SystemExit):  # Lightning's answer to Ctrl-C
            later = "Interrupted within a step: continue from the last checkpoint with the option resume."
            raise KeyboardInterrupt(*([] if is_before_training(error) else [later])) from error
        raise


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
