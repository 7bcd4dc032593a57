"""What a config may say besides its parts, and the whole of it checked."""

from dataclasses import dataclass
from typing import Any

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
        "trainer",
        "callbacks",
        "logger",
    ),
    *("game", "run", "seed", "gamma", "resume", "objective"),
}


@dataclass
class Run:
    """What a run is, besides its parts: the budget in real images shown to D, its name and its folder."""

    images: int
    name: str
    folder: str

    def __post_init__(self) -> None:
        if self.images < 1:
            raise UserError(f"run.images={self.images}: the budget is a number of images, at least 1")


@dataclass
class Game:
    """The rules: the global batch, D's updates a step, and the generator's average (half-life in images)."""

    batch_size: int = 64
    critic_steps: int = 1
    pack: int = 1
    unroll: int = 0
    ema_half_life: float = 10_000.0
    ema_ramp_up: float | None = 0.05

    def __post_init__(self) -> None:
        for name, least in {"batch_size": 1, "critic_steps": 1, "pack": 1, "unroll": 0}.items():
            if getattr(self, name) < least:
                raise UserError(f"game.{name}={getattr(self, name)}: at least {least}")
        if self.batch_size % self.pack:
            raise UserError(
                f"game.pack={self.pack} does not divide game.batch_size={self.batch_size}: take one that does"
            )


def plain(config: DictConfig | dict[str, Any]) -> dict[str, Any]:
    """The config resolved, checked against every constructor, as plain lists and dictionaries."""
    try:
        node = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(str(error).splitlines()[0]) from error
    assert isinstance(node, dict)
    for key in node.keys() - KEYS:
        raise UserError(f"{key!s}: there is no such option.{did_you_mean(str(key), KEYS)}")
    targets = {"run": f"{__name__}.Run", "game": f"{__name__}.Game"}
    typed = checked({**node, **{key: {"_target_": target, **node[key]} for key, target in targets.items()}})
    for key in targets:
        del typed[key]["_target_"]
    if not isinstance(typed["seed"], int) or typed["seed"] < 0:
        raise UserError(f"seed={typed['seed']!r}: expected a whole number, 0 or more")
    return typed
