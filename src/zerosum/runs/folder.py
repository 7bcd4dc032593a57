"""Makes run folders, and reads their configs as if a stranger had written them: as data, through no link."""

import itertools
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from zerosum.errors import UserError, one_line
from zerosum.files import suggest_remedy
from zerosum.training.lock import hold, is_first_process

LARGEST_CONFIG = 2**18
"""Bytes of a config.yaml; a run's has a few thousand"""
DEEPEST = 30
"""Levels of nesting"""
TRACES = {"console.log", ".lock", "multirun.yaml"}
"""Files that a command leaves in its folder before there is anything to keep"""
OF_LOGGERS = ("wandb", "tensorboard")
"""Folders of loggers, which hold nothing of worth before the first step"""
KEPT = {"output.log"}
"""What a sweep's launcher has put into a job's folder: why the job failed"""
MADE: dict[Path, list[Path] | None] = {}
"""Run folders that this process made, each with the parents that were missing, the outermost first; None for those that
were there and empty"""


def make_folder(name: str) -> str:
    """Make a new folder and return its name, with -2, -3, ... added if another process made it first."""
    for folder in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2))):
        try:
            make(Path(folder).absolute())
        except FileExistsError:
            if Path(folder).exists():
                continue
            raise UserError(f"{Path(name).parent} is a file: choose another hydra.run.dir") from None
        except OSError as error:
            raise UserError(f"{folder} could not be made ({error.strerror}): {suggest_remedy(error)}") from error
        break
    return folder


def make(folder: Path) -> None:
    """Make a folder with its parents, and remember them; FileExistsError if it, or a file in a parent's place, exists.

    Of several processes one makes a folder, and that one remembers it.
    """
    missing = [parent for parent in reversed(folder.parents) if not parent.exists()]
    made = []
    for parent in missing:
        with suppress(FileExistsError):  # another process was faster
            parent.mkdir()
            made.append(parent)
    if folder.parent.is_file():
        raise FileExistsError
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} <= KEPT:
        MADE.setdefault(folder, None)
    folder.mkdir()
    MADE[folder] = made


def remove_made(traces: Collection[str] = TRACES) -> list[Path]:
    """Remove the folders that this process made if they hold nothing but `traces`, with such parents if empty.

    Folders of loggers count as traces of a command that names config.yaml as one, since loggers start after it. Folders
    that were empty before are emptied. Returns the folders that were removed or emptied. Further processes of a run
    remove nothing.
    """
    removed = []
    for folder, parents in list(MADE.items()) if is_first_process() else ():
        with suppress(OSError, UserError):  # another process may have put something in, or train there
            if clear(folder, traces):
                removed.append(folder)
                if parents is not None:
                    folder.rmdir()
                for parent in reversed(parents or []):
                    parent.rmdir()
    for folder in removed:
        del MADE[folder]
    return removed


def clear(folder: Path, traces: Collection[str]) -> bool:
    """Remove `traces` from a folder if it holds nothing else that a run wrote; returns whether it does not."""
    logged = OF_LOGGERS if "config.yaml" in traces else ()
    entries = [entry for entry in folder.iterdir() if entry.name not in KEPT]
    if not all(entry.name in (traces if entry.is_file() else logged) for entry in entries):
        return False
    with hold(folder):
        for entry in entries:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (folder / ".lock").unlink(missing_ok=True)
    return True


def remove_after(error: BaseException) -> list[Path]:
    """Remove the folders that this process made if the error came before there was anything to keep in them."""
    # config.yaml is written shortly before training: an error there says whether it began.
    return remove_made({*TRACES, "config.yaml"} if is_before_training(error) else TRACES)


def is_before_training(error: BaseException) -> bool:
    """Whether the callback `Banner` marked the error, or the one that led to it, as one before the first step."""
    marks = [getattr(each, "before_training", None) for each in (error, error.__context__, error.__cause__)]
    return True in marks and False not in marks


def read_config(run: Path) -> dict[str, Any]:
    """Read config.yaml, with its paths changed if the folder was moved; UserError if no training wrote it."""
    path = run / "config.yaml"
    if not path.is_file():
        raise UserError(f"{run} holds no run (there is no {path}): choose a folder that a training made, in outputs/")
    try:
        refuse_links(run)
        config = load_literal(path)
        old = config["run"]["folder"]
        if not isinstance(old, str) or not old:
            raise ValueError("run.folder is not a path")
    except UserError:
        raise
    except Exception as error:  # parsers raise whatever the damage makes them
        raise UserError(f"{path} cannot be read ({one_line(error)}): it is damaged, choose another run") from error
    return move_paths(config, old, str(run))


def load_literal(path: Path) -> Any:
    """Load YAML; refuse aliases, interpolations and large files."""
    if path.stat().st_size > LARGEST_CONFIG:
        raise ValueError(f"a config has no more than {LARGEST_CONFIG:,} bytes")
    text = path.read_text(encoding="utf-8")
    refuse_indirection(text)
    return OmegaConf.to_container(OmegaConf.load(StringIO(text)))


def refuse_indirection(text: str) -> None:
    """Refuse aliases, which may multiply without end, and interpolations, which read the reader's environment."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1} is nested more than {DEEPEST} levels deep")
        value = getattr(event, "value", "")
        if isinstance(event, yaml.AliasEvent) or "${" in value:
            raise ValueError(f"line {event.start_mark.line + 1} refers to something else, and a run's config does not")
        if "\0" in value:
            raise ValueError(f"line {event.start_mark.line + 1} is not text")


def move_paths(node: Any, old: str, new: str) -> Any:
    """Replace the folder `old` by `new` wherever it stands in the node."""
    if isinstance(node, dict):
        return {key: move_paths(value, old, new) for key, value in node.items()}
    return new if node == old else node


def refuse_links(run: Path) -> None:
    """UserError at a link to a folder elsewhere: what a run writes would go there."""
    for entry in run.iterdir():
        if entry.is_symlink() and os.path.isdir(entry) and not lies_in(entry, run):  # noqa: PTH112 (never raises)
            raise UserError(
                f"{entry} is a link to {os.path.realpath(entry)}, and a run writes into its own folder alone:"
                " replace the link by a folder"
            )


def lies_in(path: str | Path, folder: Path) -> bool:
    """Whether the path is in the folder once links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
