"""Any number of any object as a function of images seen."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from lightning import Callback, Trainer

from zerosum.errors import UserError
from zerosum.gan import GAN


class Anneal(Callback):
    """Sets `attribute` of the GAN before each step, e.g. regularizers.r1.weight or augment.sigma.

    From `start` to `end` over the first `images` images, by the shape of `curve`, then constant; being a function of
    images seen alone, it needs no place in the checkpoint. An optimizer's learning rate is
    optimizers.discriminator.lr or optimizers.generator.lr.
    """

    def __init__(
        self,
        attribute: str,
        start: float,
        end: float,
        images: int,
        curve: Literal["constant", "linear", "cosine"] = "linear",
    ) -> None:
        if images < 1:
            raise UserError(f"anneal: images={images} is the length of the way from start to end, at least 1")
        self.attribute = attribute
        self.start, self.end = start, end
        self.images = images
        self.curve = curve

    def value(self, images_seen: int) -> float:
        """The number at this time; `constant` stays at `start` and jumps to `end`."""
        share = min(images_seen / self.images, 1.0)
        shape = {"constant": float(share >= 1), "linear": share, "cosine": (1 - math.cos(math.pi * share)) / 2}[
            self.curve
        ]
        return self.start + (self.end - self.start) * shape

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Refuse what is not there, before the first step."""
        self.set(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
        """Set the value of this step."""
        self.set(pl_module)

    def set(self, gan: GAN) -> None:
        """Set the attribute, of an optimizer in all of its groups."""
        value = self.value(gan.images_seen)
        if self.attribute.startswith("optimizers."):
            _, player, option = self.attribute.split(".")
            optimizer = gan.optimizers()[("discriminator", "generator").index(player)]  # type: ignore[index]
            for group in optimizer.param_groups:
                group[option] = value
            return
        owner, name = found(gan, self.attribute.split("."))
        setattr(owner, name, type(getattr(owner, name))(value))


def found(gan: GAN, names: Sequence[str]) -> tuple[Any, str]:
    """The object that has the last name, and that name; entries of dictionaries go by their keys."""
    owner: Any = gan
    for name in names[:-1]:
        entries = dict(owner.items()) if hasattr(owner, "items") else {}
        owner = entries.get(name, getattr(owner, name, None))
    inner = any(name.startswith("_") for name in names)  # from where a path leads out of the game, to any module
    if inner or owner is None or not isinstance(getattr(owner, names[-1], None), int | float):
        raise UserError(f"anneal: {'.'.join(names)} is no number of this game, such as regularizers.r1.weight")
    return owner, names[-1]
