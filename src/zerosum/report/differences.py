"""What sets a run apart from the defaults."""

from functools import cache
from typing import Any, NamedTuple

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
        Difference(key, say(own.get(key)), say(values.get(key)))
        for key in {**values, **own}
        if key in own and own[key] != values.get(key) and is_option(key) and not names_group(key, replaced)
    ]
    return groups + singles


@cache
def defaults() -> tuple[dict[str, Any], dict[str, Any]]:
    """{group: option} and {dotted key: value} without any override."""
    config = OmegaConf.to_container(compose(), resolve=True)
    assert isinstance(config, dict)
    return config["command"]["choices"], flatten(config)  # type: ignore[arg-type]


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


def say(value: Any) -> str:
    """The value as written on the command line."""
    return ABSENT if value is None else format_value(value)
