"""The settings of a run, and the validation of a whole config."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.schema import RESERVED, Reader, check, check_node, import_options
from zerosum.experiment.source import read_options

GROUPS = {"dataset", "model", "loss", "regularizer", "generator_regularizer", "augment", "labels", "optimizer"}
GROUPS |= {"features", "protocol", "metrics", "trainer", "callbacks", "logger"}
KEYS = {*GROUPS, "game", "training", "run", "seed", "gamma", "resume", "resume_force", "trusted", "objective"}
KEYS |= {"data", "command"}  # written by a run that starts
OPTIONAL = ("augment", "labels", "callbacks", "logger", "regularizer", "generator_regularizer", "data", "command")
"""Groups that may be empty"""
OF_PLAYERS = ("loss", "regularizer", "generator_regularizer", "augment", "labels", "game")
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
INSTEAD_OF = {
    "StochasticWeightAveraging": "training.ema_half_life sets the average that is sampled",
    "WeightAveraging": "training.ema_half_life sets the average that is sampled",
    "GradientAccumulationScheduler": "training.accumulate divides the batch",
    "LearningRateFinder": "a sweep tries several, as in -m optimizer.lr=0.0001,0.0002",
    "BatchSizeFinder": "set training.batch_size",
}
"""Callbacks of Lightning that need its own optimization, and what does here what they do"""
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


def refuse_lightnings_own(trainer: Mapping[str, Any]) -> None:
    """UserError at options of Lightning's Trainer in whose place zerosum has its own."""
    for name, ours in INSTEAD.items():
        if trainer.get(name) not in (None, -1):
            raise UserError(f"trainer.{name}={trainer[name]} is not used: set {ours} instead")


def check_seed(seed: Any, path: str = "seed") -> None:
    """UserError unless it is a whole number of at most 63 bits."""
    if type(seed) is not int or not 0 <= seed < INT64:
        raise UserError(f"{path}={seed!r}: expected a whole number, 0 or more")


def validate(config: DictConfig | dict[str, Any], read: Reader = import_options) -> dict[str, Any]:
    """The config resolved and checked against every constructor that `read` knows, as plain lists and dictionaries."""
    try:
        node = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(describe_unresolved(str(error))) from error
    assert isinstance(node, dict)
    refuse_unused(OmegaConf.to_container(OmegaConf.create(config), resolve=False))  # type: ignore[arg-type]
    drop_options_of_replaced(node, read)  # type: ignore[arg-type]
    for key in node.keys() - KEYS:
        raise UserError(f"{key!s}: there is no such option.{did_you_mean(str(key), KEYS)}")
    check_parts(node)  # type: ignore[arg-type]
    refuse_lightnings_optimization(group(node, "callbacks"))  # type: ignore[arg-type]
    node |= {name: node.get(name) or {} for name in (*OPTIONAL, "optimizer")}
    settings = {name: node.pop(name, None) or {} for name in SETTINGS}
    typed: dict[str, Any] = check(node, read=read)
    for name, target in SETTINGS.items():
        typed[name] = check_node({**settings[name], "_target_": target}, name)
        del typed[name]["_target_"]
    check_seed(typed.get("seed"))
    for path, value in flatten(typed).items():
        if path.endswith(".seed") and isinstance(value, int):
            check_seed(value, path)
    return typed


def describe_unresolved(message: str) -> str:
    """OmegaConf's message on a value that refers to another, on one line."""
    missing = re.search(r"Interpolation key '(\w+)(\.\w+)?", message)
    if missing is None or missing[1] not in GROUPS:
        return message.splitlines()[0]
    if missing[2]:
        return f"{missing[1]}{missing[2]} is missing, which another part needs: take another {missing[1]}"
    without = ", or measure nothing: ~callbacks.evaluate" if missing[1] == "metrics" else ""
    return f"{missing[1]} is missing: {advise(missing[1])}{without}"


def advise(name: str) -> str:
    """Where to find the options of a group."""
    return f"choose one of conf/{name}, which --help lists"


def refuse_lightnings_optimization(callbacks: dict[str, Any]) -> None:
    """UserError at callbacks of Lightning that work only where Lightning itself takes the optimizer's steps."""
    for name, node in callbacks.items():
        package, _, kind = str(node["_target_"]).rpartition(".")
        if package.startswith(("lightning.", "pytorch_lightning.")) and kind in INSTEAD_OF:
            raise UserError(f"callbacks.{name}: {kind} does not work with several players: {INSTEAD_OF[kind]}")


def refuse_unused(node: dict[str, Any]) -> None:
    """UserError if the command line adds to `model` or `optimizer` what none of their parts refers to.

    `node` is not resolved yet: afterwards the references are gone.
    """
    refuse_unused_by_family(node)
    refuse_unused_features(node)
    for override in typed_overrides(node):
        name, _, key = override.lstrip("+").partition("=")[0].partition(".")
        entries = node.get(name)
        if not override.startswith("+") or name not in ("model", "optimizer") or not isinstance(entries, dict):
            continue
        refers = f"${{..{key}}}" in str(entries) or "${" not in str(entries)
        if "_target_" not in entries and not isinstance(entries.get(key, {}), dict) and not refers:
            near = did_you_mean(key, [str(other) for other in entries if other != key])
            raise UserError(f"{name}.{key}: there is no such option of this {name}.{near}")


def refuse_unused_by_family(node: dict[str, Any]) -> None:
    """UserError if the command line sets an option of every model that this one, which is no GAN, does not use.

    Nothing is known of a config that is resolved, as that of a saved run.
    """
    if is_gan(node) or "${" not in str(node):
        return
    model, used = node["model"], {name: part for name, part in node.items() if name not in OF_PLAYERS}
    unused = {"gamma": "${gamma}" not in str(used), "training.clip": not node.get("optimizer")}
    for override in typed_overrides(node):
        key = override.lstrip("+").partition("=")[0]
        if unused.get(key):
            own = f", or write model.{override}" if key in model else ""
            raise UserError(f"{key}: {model['_target_'].rpartition('.')[2]} does not use it: leave {override} out{own}")


def refuse_unused_features(node: dict[str, Any]) -> None:
    """UserError if the command line chooses features, and nothing that is measured looks at any."""
    others = str({name: part for name, part in node.items() if name != "features"})
    if "${" not in str(node) or "${features" in others:
        return
    for override in typed_overrides(node):
        if override.lstrip("+~").partition("=")[0].partition(".")[0] == "features":
            raise UserError(f"{override}: nothing is measured by features here: leave it out")


def drop_options_of_replaced(node: dict[str, Any], read: Reader = import_options) -> None:
    """Where the command line replaces a part, as loss=hinge or loss._target_=..., forget options of the old one.

    A preset may have set them. Options that the command line sets stay, and are checked.
    """
    typed = [override.lstrip("+").partition("=")[0] for override in typed_overrides(node)]
    for name in {*OPTIONAL}.intersection(typed):
        if isinstance(node.get(name), dict):
            drop_remains(node[name], name, typed)
    replaced = [name.removesuffix("._target_") for name in typed if name.endswith("._target_") or name in GROUPS]
    for name in {"model", "optimizer"}.intersection(typed):
        replaced += [f"{name}.{part}" for part in node[name]] if isinstance(node.get(name), dict) else []
    for path in replaced:
        part: Any = node
        for key in path.split("."):
            part = part.get(key) if isinstance(part, dict) else None
        if isinstance(part, dict) and "_target_" in part:
            options = read(part["_target_"], path)
            known = None if options is None or options.takes_any else {*options.parameters, *RESERVED}
            for key in [key for key in part if known is not None and key not in known and f"{path}.{key}" not in typed]:
                del part[key]


def drop_remains(part: dict[str, Any], path: str, typed: list[str]) -> None:
    """Drop options of a part, or of its named entries, that has no class: a preset set them for another choice."""
    if "_target_" in part:
        return
    for key, value in list(part.items()):
        has_class = isinstance(value, dict) and "_target_" in value
        if not has_class and not any(f"{name}.".startswith(f"{path}.{key}.") for name in typed):
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
        optimizer = group(node, "optimizer") if node.get("optimizer") else {}  # some families have none
        several = {f"optimizer.{name}": part for name, part in optimizer.items() if isinstance(part, dict)}
        parts |= {"optimizer": optimizer} if "_target_" in optimizer else several
    for name in ("callbacks", "logger", "regularizer", "generator_regularizer"):
        parts |= {f"{name}.{entry}": part for entry, part in group(node, name).items()}
    parts |= {name: node[name] for name in ("augment", "labels", "features", "protocol") if node.get(name)}
    for path, part in parts.items():
        if not isinstance(part, dict) or "_target_" not in part:
            problem = "is missing" if part is None else "names no class"
            raise UserError(f"{path} {problem}: {advise(path.partition('.')[0])}")


def leave_out_parts_of_players(node: dict[str, Any]) -> None:
    """Empty the parts of a game, which a model that is no game of two networks has not; UserError if one was typed."""
    model = node["model"]["_target_"].rpartition(".")[2]
    for override in typed_overrides(node):
        name, _, value = override.lstrip("+").partition("=")
        found = name.partition(".")[0]
        if found in OF_PLAYERS and value not in ("none", "null"):
            own = own_loss(node["model"], value) if name == "loss" else ""
            raise UserError(f"{found}: {model} is not a game of two networks: leave {override} out{own}")
    node.update(dict.fromkeys(OF_PLAYERS))


def own_loss(model: dict[str, Any], value: str) -> str:
    """How the command line chooses the loss of a model that has one of its own; '' for others."""
    if isinstance(model.get("adversarial"), dict):
        return f", or write loss@model.adversarial={value}"
    options = read_options(model["_target_"])
    return f", or write +loss@model.loss={value}" if options and "loss" in options.parameters else ""


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
