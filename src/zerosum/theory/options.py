"""The options that each subject heeds; this file imports no torch, so that others are refused at once."""

from collections.abc import Sequence
from typing import NamedTuple

from omegaconf import DictConfig

from zerosum.errors import UserError, did_you_mean

NETWORKS = ("model.width", "model.depth")
GAME = ("seed", "training.batch_size", "optimizer.lr", "gamma")
MIXTURE = ("dataset.means", "dataset.sigma")


class Heeded(NamedTuple):
    """What a subject takes; what its variants set, and what its page takes for granted, is not among it."""

    options: tuple[str, ...]
    batches: int = 1
    """The fewest batches of real images that it can be measured with"""


OPTIONS = {
    "density_ratio": Heeded((*GAME, "game.critic_steps", *NETWORKS, *MIXTURE), 2),
    "game_value": Heeded((*GAME, "game.critic_steps", *NETWORKS), 60),
    "vanishing_gradients": Heeded(("seed", "training.batch_size", *NETWORKS, *MIXTURE), 40),
    "divergences": Heeded(("training.batch_size", "optimizer.lr"), 20),
    "mode_collapse": Heeded((*GAME, "model.latent_dim", *NETWORKS, "dataset.sigma"), 25),
    "latent_dimension": Heeded((*GAME, "game.critic_steps", *NETWORKS, "dataset.squares", "dataset.side"), 10),
    "label_smoothing": Heeded(("training.batch_size", *NETWORKS)),
    "discriminator_steps": Heeded((*GAME, "model.latent_dim", *NETWORKS, "dataset.sigma"), 40),
    "batch_norm": Heeded(("seed", "training.batch_size", "optimizer.lr", "model.latent_dim", "model.base_channels")),
    "dirac_gan": Heeded(("optimizer.lr", "gamma")),
    "fixed_players": Heeded(("seed", "training.batch_size", "model.latent_dim", *NETWORKS, "dataset.sigma"), 24),
}
"""Every subject takes run.images too"""


def taken_by(subject: str) -> list[str]:
    """The names of the options that a subject heeds, in the order of the alphabet."""
    return sorted(["run.images", *OPTIONS[subject].options])


def check_heeded(subject: str, options: Sequence[str]) -> None:
    """UserError at an option that the subject's games or their measurement would not follow."""
    names = taken_by(subject)
    for option in options:
        name, equals, _ = option.partition("=")
        if not equals:
            raise UserError(f"{option}: write an option as key=value, such as run.images=100_000")
        if name not in names:
            raise UserError(
                f"{name}: theory.py {subject} takes only {', '.join(names)};"
                f" python train.py experiment=theory/{subject} takes every option.{did_you_mean(name, names)}"
            )


def check_budget(subject: str, config: DictConfig) -> None:
    """UserError if the images are too few for the subject's measurement."""
    fewest = OPTIONS[subject].batches * config.training.batch_size
    if config.run.images < fewest:
        raise UserError(
            f"run.images={config.run.images}: theory.py {subject} needs {fewest:,} or more,"
            f" {OPTIONS[subject].batches} batches of training.batch_size={config.training.batch_size}"
        )
