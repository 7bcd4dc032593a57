"""What a config may say besides its parts, and the whole of it checked."""

from dataclasses import dataclass
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zerosum.errors import UserError, did_you_mean
from zerosum.preflight import checked

KEYS = {
    *(
        "dataset",
        "model",
        "loss",
        "regularizer",
        "augment",
        "optimizer",
        "features",
        "protocol",
        "metrics",
        "trainer",
        "callbacks",
        "logger",
    ),
    *("game", "run", "seed", "gamma", "resume", "resume_force", "trusted", "objective"),
}
ABSENT = ("augment", "callbacks", "logger", "regularizer")
"""Groups that may be empty."""
LARGEST = 2**63
"""Numbers beyond are none to torch."""


@dataclass
class Run:
    """What a run is, besides its parts: the budget in real images shown to D, its name and its folder."""

    images: int
    name: str
    folder: str

    def __post_init__(self) -> None:
        if not 1 <= self.images < LARGEST:
            raise UserError(f"run.images={self.images}: the budget is a number of images, at least 1")


LEAST = {"batch_size": 1, "critic_steps": 1, "pack": 1, "unroll": 0, "accumulate": 1, "rollbacks": 0}


@dataclass
class Game:
    """The rules: the global batch, D's updates a step, and the generator's average (half-life in images).

    The batch goes through the networks in `accumulate` parts; `clip` is the greatest norm of a player's gradients.
    `on_nan` is what follows a loss that is no number: the end, or going back to the last checkpoint with half the
    learning rates, at most `rollbacks` times.
    """

    batch_size: int = 64
    critic_steps: int = 1
    pack: int = 1
    unroll: int = 0
    accumulate: int = 1
    clip: float | None = None
    on_nan: Literal["stop", "rollback"] = "stop"
    rollbacks: int = 3
    ema_half_life: float = 10_000.0
    ema_ramp_up: float | None = 0.05

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise UserError(f"game.{name}={getattr(self, name)}: at least {least}")
        if self.batch_size % (self.pack * self.accumulate):
            parts = f" times game.accumulate={self.accumulate}" if self.accumulate > 1 else ""
            raise UserError(
                f"game.pack={self.pack}{parts} does not divide game.batch_size={self.batch_size}: take numbers that do"
            )
        if self.clip is not None and self.clip <= 0:
            raise UserError(f"game.clip={self.clip}: the greatest norm of gradients, more than 0, or null for none")


def plain(config: DictConfig | dict[str, Any]) -> dict[str, Any]:
    """The config resolved, checked against every constructor, as plain lists and dictionaries."""
    try:
        node = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    assert isinstance(node, dict)
    for key in node.keys() - KEYS:
        raise UserError(f"{key!s}: there is no such option.{did_you_mean(str(key), KEYS)}")
    refuse_gaps(node)  # type: ignore[arg-type]
    node |= {name: node.get(name) or {} for name in ABSENT}
    targets = {"run": f"{__name__}.Run", "game": f"{__name__}.Game"}
    typed = checked({**node, **{key: {**node[key], "_target_": target} for key, target in targets.items()}})
    for key in targets:
        del typed[key]["_target_"]
    seed = typed.get("seed")
    if not isinstance(seed, int) or not 0 <= seed < LARGEST:
        raise UserError(f"seed={seed!r}: expected a whole number, 0 or more")
    return typed


def refuse_gaps(node: dict[str, Any]) -> None:
    """A UserError where a part is missing or has no class, before anything looks into it."""
    parts = {name: node.get(name) for name in ("dataset", "loss", "trainer")}
    for group in ("model", "optimizer"):
        parts |= {f"{group}.{player}": among(node, group).get(player) for player in ("discriminator", "generator")}
    for group in ("callbacks", "logger", "regularizer"):
        parts |= {f"{group}.{name}": part for name, part in among(node, group).items()}
    parts |= {name: node[name] for name in ("augment", "features", "protocol") if node.get(name)}
    for path, part in parts.items():
        if not isinstance(part, dict) or "_target_" not in part:
            raise UserError(f"{path} is missing or names no class: choose one, as in conf/{path.partition('.')[0]}")
    for name in ("game", "run"):
        among(node, name)


def among(node: dict[str, Any], name: str) -> dict[str, Any]:
    """A group of settings; empty where there is none of a kind that may be absent."""
    group = node.get(name)
    if group is None and name in ABSENT:
        return {}
    if not isinstance(group, dict):
        raise UserError(f"{name} is missing or no group of settings: see conf/config.yaml")
    return group
