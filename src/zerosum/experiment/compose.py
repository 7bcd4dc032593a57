"""Configs for training from Python, composed as the command line does."""

import os
from datetime import datetime
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict

PACKAGE = Path(__file__).parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1] / "conf"
"""conf/ inside an installed package; in a checkout, conf/ at its root"""


def compose(*overrides: str, config_dir: str | Path | None = None) -> DictConfig:
    """The config that `python train.py <overrides>` would train, e.g. compose("dataset=ring", "run.images=100_000").

    `config_dir` is a folder of your own configs, as --config-dir. The run's folder is outputs/<time>_<name> unless
    run.folder says otherwise.
    """
    search = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = hydra_compose("config", [*search, *overrides], return_hydra_config=True)
    choices = config.hydra.runtime.choices
    with open_dict(config):
        del config["hydra"]
    run = OmegaConf.to_container(config.run, resolve=False)
    assert isinstance(run, dict)
    if "${words:" in str(run["name"]):
        config.run.name = join_words(*(choices[group] for group in ("dataset", "model", "loss")))
    if "${hydra:" in str(run["folder"]):
        config.run.folder = new_folder(config.run.name)
    return config


def join_words(*words: object) -> str:
    """'a_b' of a, null and b."""
    return "_".join(str(word) for word in words if word is not None)


OmegaConf.register_new_resolver("words", join_words, replace=True)


def new_folder(name: str) -> str:
    """outputs/<time>_<name>."""
    return os.path.join("outputs", f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{name}")  # noqa: PTH118 (a config has text)
