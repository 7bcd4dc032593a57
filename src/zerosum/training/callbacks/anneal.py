"""Changes any number of a model over training, as a function of images seen."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from lightning import Callback, Trainer

from zerosum.errors import UserError
from zerosum.training.module import GenerativeModule


class Anneal(Callback):
    """Sets `attribute` of the module before each step, e.g. regularizers.r1.weight or augment.sigma.

    The number goes from `start` to `end` over the first `images` images, along `curve`, and stays there; with the curve
    `constant` it jumps at the end. An optimizer's learning rate is optimizers.<name>.lr, for a GAN
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
            raise UserError(f"callbacks.anneal.images={images}: choose 1 or more, the images from start to end")
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

    def check(self, module: GenerativeModule) -> None:
        """UserError if the module has no such number."""
        owner, *path = self.attribute.split(".")
        if owner == "optimizers":
            found = module.configure_optimizers()
            self.groups_of(module, path, found if isinstance(found, list) else [found])
        else:
            find(module, [owner, *path])

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:
        self.set(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GenerativeModule, batch: Any, batch_idx: int) -> None:
        self.set(pl_module)

    def set(self, module: GenerativeModule) -> None:
        """Set the attribute; an optimizer's in all of its parameter groups."""
        value = self.value(module.images_seen)
        owner, *path = self.attribute.split(".")
        if owner == "optimizers":
            self.set_option(module, path, value)
        else:
            found, name = find(module, self.attribute.split("."))
            setattr(found, name, type(getattr(found, name))(value))

    def set_option(self, module: GenerativeModule, path: Sequence[str], value: float) -> None:
        """Set an option of one optimizer."""
        found = module.optimizers(use_pl_optimizer=False)
        for group in self.groups_of(module, path, found if isinstance(found, list) else [found]):
            group[path[1]] = value

    def groups_of(
        self, module: GenerativeModule, path: Sequence[str], optimizers: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """The parameter groups of the optimizer that the path names; UserError if its option is not a number."""
        options = [f"optimizers.{name}.lr" for name in module.optimizer_names]
        if len(path) != 2 or path[0] not in module.optimizer_names:
            raise UserError(f"anneal: there is no {self.attribute}: choose one such as {' or '.join(options)}")
        groups: list[dict[str, Any]] = optimizers[module.optimizer_names.index(path[0])].param_groups
        if not all(isinstance(group.get(path[1]), int | float) for group in groups):
            raise UserError(f"anneal: {self.attribute} is not a number: choose one such as {' or '.join(options)}")
        return groups


def find(module: GenerativeModule, names: Sequence[str]) -> tuple[Any, str]:
    """The object that has the last name, and that name; entries of dictionaries go by their keys."""
    owner: Any = module
    for name in names[:-1]:
        entries = dict(owner.items()) if hasattr(owner, "items") else {}
        owner = entries.get(name, getattr(owner, name, None))
    private = any(name.startswith("_") for name in names)  # a path through private names could reach any module
    if private or owner is None or not isinstance(getattr(owner, names[-1], None), int | float):
        raise UserError(f"anneal: {'.'.join(names)} is not a number of this model, such as regularizers.r1.weight")
    return owner, names[-1]
