"""The settings of a run, and the validation of a whole config."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zerosum.errors import UserError, did_you_mean, one_line
from zerosum.experiment.schema import RESERVED, Reader, check, check_node, conform, import_options, locate
from zerosum.experiment.source import read_options
from zerosum.training.callbacks.schedule import check_interval

GROUPS = {"dataset", "model", "loss", "regularizer", "generator_regularizer", "augment", "optimizer"}
GROUPS |= {"features", "protocol", "metrics", "trainer", "callbacks", "logger"}
KEYS = {*GROUPS, "game", "training", "run", "seed", "gamma", "resume", "resume_force", "trusted", "objective"}
KEYS |= {"data", "command"}  # written by a run that starts
OPTIONAL = ("augment", "callbacks", "logger", "regularizer", "generator_regularizer", "data", "command")
"""Groups that may be empty"""
OF_PLAYERS = ("loss", "regularizer", "generator_regularizer", "augment", "game")
"""Groups that only a GAN has"""
SETTINGS = {
    "run": "zerosum.experiment.settings.Run",
    "training": "zerosum.training.settings.TrainingSettings",
    "game": "zerosum.gan.game.Game",
}
"""Groups that are checked against a constructor that their YAML need not name"""
INSTEAD = dict.fromkeys(("max_epochs", "max_steps", "min_epochs", "min_steps", "fast_dev_run"), "run.images")
INSTEAD |= dict.fromkeys(("limit_train_batches", "overfit_batches"), "run.images")
INSTEAD |= {"accumulate_grad_batches": "training.accumulate", "gradient_clip_val": "training.clip"}
"""Options of Lightning's Trainer that it would not heed here, and what is meant"""
LIGHT = ("dataset", "model", "loss", "regularizer", "generator_regularizer", "augment", "optimizer")
"""Groups whose classes need no Lightning"""
STARTING: dict[str, Any] = {
    "resume": str | None,
    "resume_force": bool,
    "trusted": str | list[str],
    "objective": str | None,
}
"""Options that say how to start, or what to return"""
INT64 = 2**63


@dataclass(frozen=True)
class Run:
    """The budget in real images, the name and the folder of a run."""

    images: int
    name: str
    folder: str

    def __post_init__(self) -> None:
        if not 1 <= self.images < INT64:
            raise UserError(f"run.images={self.images}: the budget is a number of images, at least 1")


def check_first(config: DictConfig) -> None:
    """UserError at a wrong name, type or value that can be told without importing torch, which takes seconds."""
    check_options_of_starting(config)
    typed = validate(config, read_options)
    for name, target in SETTINGS.items():
        locate(target, name)(**typed[name])
    if not isinstance(config.gamma, int | float) or not 0 <= config.gamma < math.inf:
        raise UserError(f"gamma={config.gamma}: the weight of R1 and R2 is a number of 0 or more")
    refuse_lightnings_own(typed["trainer"])
    check_devices(typed["trainer"].get("devices", 1))
    for name, callback in typed["callbacks"].items():
        if isinstance(callback.get("every"), int):
            check_interval(name, callback["every"])


def check_options_of_starting(config: DictConfig) -> None:
    """UserError at a wrong type among the options that say how to start or continue."""
    for name, annotation in STARTING.items():
        value = config.get(name)
        conform(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value, annotation, name)


def check_devices(devices: Any) -> None:
    """UserError at words that number no devices, on which Lightning says nothing that helps."""
    if isinstance(devices, str) and not re.fullmatch(r"auto|-1|\d+(, *\d+)*,?", devices):
        raise UserError(f"trainer.devices={devices}: write how many, which as in [0,1], or auto")


def check_light_parts(config: DictConfig) -> None:
    """UserError at a wrong value among parts that need torch, but not Lightning, whose import takes twice as long."""
    node: Any = OmegaConf.to_container(config, resolve=True)
    drop_options_of_replaced(node)
    parts = check({name: node[name] for name in LIGHT if node.get(name)})
    optimizers = parts.get("optimizer", {})
    for name, part in ({"": optimizers} if "_target_" in optimizers else optimizers).items():
        if isinstance(part, dict):
            check_optimizer(f"optimizer.{name}".rstrip("."), part)


def check_optimizer(path: str, node: dict[str, Any]) -> None:
    """UserError where an optimizer refuses its options for a matrix, which every optimizer takes."""
    from torch import zeros

    options = {key: value for key, value in node.items() if key not in RESERVED}
    with optimizer_errors(path):
        locate(node["_target_"], path)([zeros(2, 2)], **options)


@contextmanager
def optimizer_errors(path: str) -> Iterator[None]:
    """Raise what an optimizer's constructor raises at its options as UserErrors."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {one_line(error)}; choose other options") from error


def refuse_lightnings_own(trainer: Mapping[str, Any]) -> None:
    """UserError at options of Lightning's Trainer in whose place zerosum has its own."""
    for name, ours in INSTEAD.items():
        if trainer.get(name) not in (None, -1):
            raise UserError(f"trainer.{name}={trainer[name]} is not used: set {ours} instead")


def check_seed(seed: Any) -> None:
    """UserError unless it is a whole number of at most 63 bits."""
    if type(seed) is not int or not 0 <= seed < INT64:
        raise UserError(f"seed={seed!r}: expected a whole number, 0 or more")


def validate(config: DictConfig | dict[str, Any], read: Reader = import_options) -> dict[str, Any]:
    """The config resolved and checked against every constructor that `read` knows, as plain lists and dictionaries."""
    try:
        node = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    assert isinstance(node, dict)
    refuse_unused(OmegaConf.to_container(OmegaConf.create(config), resolve=False))  # type: ignore[arg-type]
    drop_options_of_replaced(node, read)  # type: ignore[arg-type]
    for key in node.keys() - KEYS:
        raise UserError(f"{key!s}: there is no such option.{did_you_mean(str(key), KEYS)}")
    check_parts(node)  # type: ignore[arg-type]
    node |= {name: node.get(name) or {} for name in OPTIONAL}
    settings = {name: node.pop(name, None) or {} for name in SETTINGS}
    typed: dict[str, Any] = check(node, read=read)
    for name, target in SETTINGS.items():
        typed[name] = check_node({**settings[name], "_target_": target}, name)
        del typed[name]["_target_"]
    check_seed(typed.get("seed"))
    return typed


def refuse_unused(node: dict[str, Any]) -> None:
    """UserError if the command line adds to `model` or `optimizer` what none of their parts refers to.

    `node` is not resolved yet: afterwards the references are gone.
    """
    for override in typed_overrides(node):
        name, _, key = override.lstrip("+").partition("=")[0].partition(".")
        entries = node.get(name)
        if not override.startswith("+") or name not in ("model", "optimizer") or not isinstance(entries, dict):
            continue
        refers = f"${{..{key}}}" in str(entries) or "${" not in str(entries)
        if "_target_" not in entries and not isinstance(entries.get(key, {}), dict) and not refers:
            near = did_you_mean(key, [str(other) for other in entries if other != key])
            raise UserError(f"{name}.{key}: there is no such option of this {name}.{near}")


def drop_options_of_replaced(node: dict[str, Any], read: Reader = import_options) -> None:
    """Where the command line names another class, as loss._target_=..., forget options of the old one.

    Options that the command line sets stay, and are checked.
    """
    typed = [override.lstrip("+").partition("=")[0] for override in typed_overrides(node)]
    for path in [name.removesuffix("._target_") for name in typed if name.endswith("._target_")]:
        part: Any = node
        for key in path.split("."):
            part = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict):
            options = read(part["_target_"], path)
            known = None if options is None or options.takes_any else {*options.parameters, *RESERVED}
            for key in [key for key in part if known is not None and key not in known and f"{path}.{key}" not in typed]:
                del part[key]


def typed_overrides(node: dict[str, Any]) -> list[str]:
    """The overrides of the command line, or those that `compose` was called with."""
    if HydraConfig.initialized():
        return list(HydraConfig.get().overrides.task)
    command = node.get("command") or {}
    return [str(override) for override in command.get("overrides", [])]


def is_gan(node: dict[str, Any]) -> bool:
    """Whether the model is two players; any other family names its own class."""
    return "_target_" not in group(node, "model")


def check_parts(node: dict[str, Any]) -> None:
    """UserError if a required part is missing or has no `_target_`."""
    for name in ("training", "run"):
        group(node, name)
    parts = {name: node.get(name) for name in ("dataset", "trainer")}
    if is_gan(node):
        group(node, "game")
        parts["loss"] = node.get("loss")
        for name in ("model", "optimizer"):
            parts |= {f"{name}.{player}": group(node, name).get(player) for player in ("discriminator", "generator")}
    else:
        leave_out_parts_of_players(node)
        optimizer = group(node, "optimizer")
        several = {f"optimizer.{name}": part for name, part in optimizer.items()}
        parts |= {"optimizer": optimizer} if "_target_" in optimizer else several
    for name in ("callbacks", "logger", "regularizer", "generator_regularizer"):
        parts |= {f"{name}.{entry}": part for entry, part in group(node, name).items()}
    parts |= {name: node[name] for name in ("augment", "features", "protocol") if node.get(name)}
    for path, part in parts.items():
        if not isinstance(part, dict) or "_target_" not in part:
            raise UserError(f"{path} is missing or names no class: choose one, as in conf/{path.partition('.')[0]}")


def leave_out_parts_of_players(node: dict[str, Any]) -> None:
    """Empty the parts of a game, which a model without a discriminator has not; UserError if one was typed."""
    model = node["model"]["_target_"].rpartition(".")[2]
    for override in typed_overrides(node):
        name, _, value = override.lstrip("+").partition("=")
        found = name.partition(".")[0]
        if found in OF_PLAYERS and value not in ("none", "null"):
            raise UserError(f"{found}: {model} has no discriminator, so it has no {found}; leave {override} out")
    node.update(dict.fromkeys(OF_PLAYERS))


def group(node: dict[str, Any], name: str) -> dict[str, Any]:
    """A group of settings; empty where an optional one is absent."""
    found = node.get(name)
    if found is None and name in OPTIONAL:
        return {}
    if not isinstance(found, dict):
        raise UserError(f"{name} is missing or not a group of settings: see conf/config.yaml")
    return found


def flatten(node: Any, path: str = "") -> dict[str, Any]:
    """{dotted key: value} of everything in a nested dictionary that is not itself a dictionary with entries."""
    if not isinstance(node, dict) or not node:
        return {path: node}
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        leaves |= flatten(value, f"{path}.{key}".lstrip("."))
    return leaves
