"""Checks of a config before torch is imported, and of parts that need torch before Lightning is."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf

from zerosum.errors import UserError, one_line
from zerosum.experiment.schema import RESERVED, check, conform, locate
from zerosum.experiment.settings import SETTINGS, drop_options_of_replaced, is_gan, refuse_lightnings_own, validate
from zerosum.experiment.source import read_options
from zerosum.gan.game import check_packs
from zerosum.training.callbacks.schedule import check_interval

LIGHT = ("dataset", "model", "loss", "regularizer", "generator_regularizer", "augment", "optimizer")
"""Groups whose classes need no Lightning"""
BELOW_ONE = {"torch.optim.RMSprop": ("alpha", "momentum"), "torch.optim.SGD": ("momentum",)}
"""Factors that torch lets be 1 or more, with which every optimization diverges"""
STARTING: dict[str, Any] = {
    "resume": str | None,
    "resume_force": bool,
    "trusted": str | list[str],
    "objective": str | list[str] | None,
}
"""Options that say how to start, or what to return"""


def check_first(config: DictConfig) -> None:
    """UserError at a wrong name, type or value that can be told without importing torch, which takes seconds."""
    check_options_of_starting(config)
    typed = validate(config, read_options)
    settings = {name: locate(target, name)(**typed[name]) for name, target in SETTINGS.items()}
    if not isinstance(config.gamma, int | float) or not 0 <= config.gamma < math.inf:
        raise UserError(f"gamma={config.gamma}: the weight of R1 and R2 is a number of 0 or more")
    if is_gan(typed):
        check_packs(settings["game"], settings["training"])
    refuse_lightnings_own(typed["trainer"])
    check_devices(typed["trainer"].get("devices", 1))
    check_factors(typed["optimizer"], "optimizer")
    if not typed["callbacks"]:
        raise UserError(
            "callbacks: without any nothing is kept of a run: leave single ones out, as ~callbacks.evaluate"
        )
    for name, callback in typed["callbacks"].items():
        if isinstance(callback.get("every"), int):
            check_interval(name, callback["every"])


def check_options_of_starting(config: DictConfig) -> None:
    """UserError at a wrong type among the options that say how to start or continue."""
    for name, annotation in STARTING.items():
        value = config.get(name)
        conform(OmegaConf.to_container(value) if OmegaConf.is_config(value) else value, annotation, name)


def check_factors(node: dict[str, Any], path: str) -> None:
    """UserError where a learning rate is negative, or an optimizer of torch keeps all of its average at every step."""
    if isinstance(node.get("lr"), int | float) and not 0 <= node["lr"] < math.inf:
        raise UserError(f"{path}.lr={node['lr']}: choose a learning rate of 0 or more")
    for name in BELOW_ONE.get(str(node.get("_target_")), ()):
        if node.get(name, 0) >= 1:
            raise UserError(f"{path}.{name}={node[name]}: choose 0 or more, and less than 1")
    for name, part in node.items():
        if isinstance(part, dict):
            check_factors(part, f"{path}.{name}")


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
