"""What sets a run apart from the defaults."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from zerosum.errors import UserError
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import flatten
from zerosum.report.measured_runs import INDEPENDENT_KEYS, is_copy
from zerosum.report.run_names import format_value

ABSENT = "–"
OWN = ("command", "data", "run.name", "run.folder", "resume", "trusted")
"""Keys that every run has for itself"""


class Difference(NamedTuple):
    """An option whose value is not the default."""

    key: str
    value: str
    default: str


def find_differences(config: dict[str, Any]) -> list[Difference]:
    """Options that differ from those of this version: groups by the option chosen, then single values."""
    chosen, values = defaults()
    name, folder = str(config["run"]["name"]), str(config["run"]["folder"])
    choices = (config.get("command") or {}).get("choices") or {}
    groups = [
        Difference(str(group), format_value(option), format_value(chosen.get(group)))
        for group, option in choices.items()
        if option != chosen.get(group)
    ]
    own = {key: value for key, value in flatten(config).items() if not is_copy(key, value, folder, name)}
    replaced = {group.key for group in groups}
    singles = [
        Difference(key, *(say(key, node.get(key)) for node in (own, values)))
        for key in {**values, **own}
        if key in own and own[key] != values.get(key) and is_option(key) and not names_group(key, replaced)
    ]
    # Nodes that refer to others repeat them: callbacks.evaluate.protocol.metrics.fid beside metrics.fid.
    keys = [single.key for single in singles]
    return groups + [single for single in singles if not any(single.key.endswith(f".{key}") for key in keys)]


@cache
def defaults() -> tuple[dict[str, Any], dict[str, Any]]:
    """{group: option} and {dotted key: value} without any override."""
    with outside_of_hydra():
        config = OmegaConf.to_container(compose(), resolve=True)
    assert isinstance(config, dict)
    return config["command"]["choices"], flatten(config)  # type: ignore[arg-type]


@contextmanager
def outside_of_hydra() -> Iterator[None]:
    """Let a config be composed inside of a program that Hydra has started."""
    outer = GlobalHydra.instance()
    hydra, outer.hydra = outer.hydra, None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = hydra


def find_differences_or_none(config: dict[str, Any]) -> list[Difference] | None:
    """None where the defaults cannot be composed, as in a program that uses Hydra in its own way."""
    try:
        return find_differences(config)
    except (UserError, ValueError):
        return None


def is_option(key: str) -> bool:
    """Whether a key is one that people set, apart from the run's own name and place."""
    return key not in INDEPENDENT_KEYS - {"seed"} and key.partition(".")[0] not in OWN and key not in OWN


def names_group(key: str, replaced: set[str]) -> bool:
    """Whether the key is the class of a group that is listed by its option."""
    return key.endswith("._target_") and key.partition(".")[0] in replaced


def say(key: str, value: Any) -> str:
    """The value as written on the command line; a class by its name."""
    if value is None:
        return ABSENT
    return str(value).rpartition(".")[2] if key.endswith("_target_") else format_value(value)
