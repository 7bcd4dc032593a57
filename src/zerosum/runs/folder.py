"""A run folder, read as if a stranger had made it: its text is data, and its links lead nowhere else."""

import os
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from zerosum.errors import UserError, one_line

LARGEST_CONFIG = 2**18
"""Bytes; that of a run has a few thousand."""

DEEPEST = 30


def read_config(run: Path) -> dict[str, Any]:
    """config.yaml, its paths those of where the folder lies now; a UserError where it is not what train.py writes."""
    path = run / "config.yaml"
    if not path.is_file():
        raise UserError(f"{run} holds no run (there is no {path}): name a folder that train.py made, in outputs/")
    try:
        refuse_links(run)
        config = literal(path)
        old = config["run"]["folder"]
        if not isinstance(old, str) or not old:
            raise ValueError("run.folder is no path")
    except UserError:
        raise
    except Exception as error:  # parsers raise whatever the damage makes them
        raise UserError(f"{path} cannot be read ({one_line(error)}): it is damaged, take another run") from error
    return moved(config, old, str(run))


def literal(path: Path) -> Any:
    """What the YAML file says, as long as that is no more than it shows."""
    if path.stat().st_size > LARGEST_CONFIG:
        raise ValueError(f"a config has no more than {LARGEST_CONFIG:,} bytes")
    text = path.read_text(encoding="utf-8")
    refuse_indirection(text)
    return OmegaConf.to_container(OmegaConf.load(StringIO(text)))


def refuse_indirection(text: str) -> None:
    """The config of a run is resolved: aliases would multiply it, and interpolations read the reader's environment."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {event.start_mark.line + 1} is nested more than {DEEPEST} deep")
        value = getattr(event, "value", "")
        if isinstance(event, yaml.AliasEvent) or "${" in value:
            raise ValueError(f"line {event.start_mark.line + 1} stands for something else, but a run's config does not")
        if "\0" in value:
            raise ValueError(f"line {event.start_mark.line + 1} is no text")


def moved(node: Any, old: str, new: str) -> Any:
    """The node with every path in `old` put into `new`."""
    if isinstance(node, dict):
        return {key: moved(value, old, new) for key, value in node.items()}
    return new if node == old else node


def refuse_links(run: Path) -> None:
    """A UserError at a link to a folder elsewhere: what a run writes would go there."""
    for entry in run.iterdir():
        if entry.is_symlink() and os.path.isdir(entry) and not lies_in(entry, run):  # noqa: PTH112 (never raises)
            raise UserError(
                f"{entry} is a link to {os.path.realpath(entry)}, and a run writes into its own folder alone:"
                " put a folder in its place"
            )


def lies_in(path: str | Path, folder: Path) -> bool:
    """Whether the path ends up in the folder, links followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
