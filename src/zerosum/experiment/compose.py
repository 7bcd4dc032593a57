"""Configs for training from Python, composed as the command line does, and Hydra's errors as sentences."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from zerosum.errors import UserError, did_you_mean

PACKAGE = Path(__file__).parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"
"""conf/ inside an installed package; in a checkout, conf/ at its root"""

SYNONYMS = {"k": "game.critic_steps", "n_critic": "game.critic_steps", "critic_iters": "game.critic_steps"}
SYNONYMS |= dict.fromkeys(("epochs", "max_epochs", "steps", "max_steps", "kimg", "budget"), "run.images")
SYNONYMS |= {"latent_size": "model.latent_dim", "nz": "model.latent_dim", "z_dim": "model.latent_dim"}
"""Names that other programs give to options"""
ELSEWHERE = {"adversarial": "model=autoencoder_gan loss@model.adversarial"}
"""Options, by their last word, that another choice of a group has: how they are written"""


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """The config that `zerosum train <overrides>` would train, e.g. compose("dataset=ring", "run.images=100_000").

    `config_dir` is a folder of your own configs, as --config-dir. The run's folder is outputs/<time>_<name> unless
    run.folder or resume says otherwise. Raises UserError at an option that does not exist.
    """
    if config_dir is not None and not Path(config_dir).is_dir():
        raise UserError(f"config_dir={config_dir}: there is no such folder")
    search = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
    typed = [*search, *overrides]
    with hydra_errors_as_user_errors("config", typed), initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra_compose("config", typed, return_hydra_config=True)
    groups = {name: option for name, option in config.hydra.runtime.choices.items() if not name.startswith("hydra/")}
    with open_dict(config):
        del config["hydra"]
        config.command = {"overrides": list(overrides), "choices": groups}
    run = OmegaConf.to_container(config.run, resolve=False)
    assert isinstance(run, dict)
    chosen = r"\$\{hydra:runtime\.choices\.(\w+)\}"
    config.run.name = re.sub(chosen, lambda match: str(groups.get(match[1]) or "null"), str(run["name"]))
    if "${hydra:" in str(run["folder"]):
        resumed = {None: new_folder(config.run.name), "auto": f"outputs/{config.run.name}"}
        config.run.folder = resumed.get(config.resume, config.resume)
    return config


def join_words(*words: object) -> str:
    """'a_b' of a, null and b."""
    return "_".join(str(word) for word in words if word is not None)


def own_options(name: str) -> str:
    """The options that stand in conf/<name>.yaml itself, with their comments, for --help."""
    blocks = re.split(r"\n(?=\S)", (CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    text = "\n".join(block.rstrip() for block in blocks if not block.startswith(("defaults:", "hydra:", "#")))
    return text.replace("$", "$$")  # Hydra fills the help by string.Template


OmegaConf.register_new_resolver("words", join_words, replace=True)
OmegaConf.register_new_resolver("own_options", own_options, replace=True)


def new_folder(name: str) -> str:
    """outputs/<time>_<name>."""
    return os.path.join("outputs", f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}")  # noqa: PTH118 (a config has text)


@contextmanager
def hydra_errors_as_user_errors(config_name: str = "config", overrides: Sequence[str] = ()) -> Iterator[None]:
    """Raise Hydra's errors as UserErrors; options that exist are those of `config_name` with the overrides' groups."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(describe_hydra_error(str(error), config_name, overrides)) from error
    except ValueError as error:
        if "Config group override" not in str(error):
            raise
        raise UserError(describe_null(overrides)) from error


def describe_null(overrides: Sequence[str]) -> str:
    """Hydra cannot choose nothing of a group that has a default: how it is written here."""
    groups = [override.removesuffix("=null") for override in overrides if override.endswith("=null")]
    name = groups[-1] if groups else "<group>"
    if (CONF / name / "none.yaml").is_file():
        return f"{name}=null: write {name}=none, and name the option once"
    return f"{name}=null: leave single entries out, as ~{name}.<entry>, or choose another option of conf/{name}"


def describe_hydra_error(message: str, config_name: str = "config", overrides: Sequence[str] = ()) -> str:
    """Hydra's message on one line, with the nearest options where an option is unknown."""
    unknown = re.search(r"Could not override '([^']+)'", message)
    if unknown is not None:
        near = elsewhere(unknown[1], overrides) or nearest(unknown[1], all_options(config_name, overrides))
        return f"{unknown[1]}: there is no such option.{near}"
    empty = re.search(r"Missing mandatory value: (\S+)", message)
    if empty is not None:
        example = ", such as run=outputs/<run>" if empty[1] == "run" else ""
        return f"{empty[1]} is missing: set {empty[1]}=...{example}"
    missing = re.search(r"Could not (?:find|load) '([\w/]+)/([^'/]+)'", message)
    if missing is not None and (CONF / missing[1]).is_dir():
        options = sorted(path.stem for path in (CONF / missing[1]).glob("*.yaml"))
        near = did_you_mean(missing[2], options)
        return f"{missing[1]}={missing[2]}: there is no such option, only {', '.join(options)}.{near}"
    return " ".join(message.split("Config search path")[0].split())


def elsewhere(name: str, overrides: Sequence[str]) -> str:
    """' Write ...' with the value that was typed, where another choice of a group has the option."""
    spelled = ELSEWHERE.get(name.rpartition(".")[2])
    value = dict(override.split("=", 1) for override in overrides if "=" in override).get(name)
    return f" Write {spelled}={value}." if spelled and value else ""


def nearest(name: str, options: Sequence[str]) -> str:
    """' Did you mean ...?' with options that mean the same, or have the same last word, or else a similar name."""
    word = name.rpartition(".")[2]
    same = [option for option in options if option in (SYNONYMS.get(word), name) or option.endswith(f".{word}")]
    return f" Did you mean {' or '.join(same[:3])}?" if same else did_you_mean(name, options)


def all_options(config_name: str, overrides: Sequence[str] = ()) -> list[str]:
    """Every key of a config with the groups that the overrides choose and, of training's, every group."""
    groups = [folder.name for folder in CONF.iterdir() if folder.is_dir()] if config_name == "config" else []
    chosen = [override for override in overrides if override.partition("=")[0] in (*groups, "hydra.searchpath")]
    for choice in (chosen, []):
        GlobalHydra.instance().clear()  # of the composition that failed
        try:
            with initialize_config_dir(str(CONF), version_base="1.3"):
                keys = dotted_keys(OmegaConf.to_container(hydra_compose(config_name, choice), resolve=False))
            return keys + groups
        except (HydraException, OmegaConfBaseException):
            continue
    return groups


def dotted_keys(node: object, prefix: str = "") -> list[str]:
    """Every key of a nested dictionary, inner nodes too, with dots."""
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in [f"{prefix}{key}", *dotted_keys(value, f"{prefix}{key}.")]]
