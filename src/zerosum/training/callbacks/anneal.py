"""Changes any number of a model over training, as a function of images seen."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from zerosum.errors import UserError
from zerosum.training.module import GenerativeModule


class Anneal(Callback):
    """Sets `attribute` of the module before each step, e.g. regularizers.r1.weight, augment.p or ema.half_life.

    The number goes from `start` to `end` over the first `images` images, along `curve`, and stays there; with the curve
    `constant` it jumps at the end. An optimizer's learning rate is optimizers.<name>.lr, for a GAN
    optimizers.discriminator.lr or optimizers.generator.lr, and Adam's beta2 is optimizers.<name>.betas.1.
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

    def check(self, module: GenerativeModule, callbacks: Iterable[Callback] = ()) -> None:
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
            set_number(*find(module, self.attribute.split(".")), value)

    def set_option(self, module: GenerativeModule, path: Sequence[str], value: float) -> None:
        """Set an option of one optimizer, or one number of an option that has several."""
        found = module.optimizers(use_pl_optimizer=False)
        for group in self.groups_of(module, path, found if isinstance(found, list) else [found]):
            group[path[1]] = value if len(path) == 2 else replace_item(group[path[1]], int(path[2]), value)

    def groups_of(
        self, module: GenerativeModule, path: Sequence[str], optimizers: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """The parameter groups of the optimizer that the path names; UserError if its option is not a number."""
        options = [f"optimizers.{name}.lr" for name in module.optimizer_names]
        if len(path) not in (2, 3) or path[0] not in module.optimizer_names:
            raise UserError(f"anneal: there is no {self.attribute}: choose one such as {' or '.join(options)}")
        groups: list[dict[str, Any]] = optimizers[module.optimizer_names.index(path[0])].param_groups
        for group in groups:
            self.check_option(group.get(path[1]), path[2:], options)
        if path[1] == "betas" and not all(0 <= value < 1 for value in (self.start, self.end)):
            raise UserError(
                f"anneal: {self.attribute} from {self.start:g} to {self.end:g}: choose numbers of 0 or more, and less"
                " than 1"
            )
        return groups

    def check_option(self, value: Any, index: Sequence[str], options: Sequence[str]) -> None:
        """UserError unless an optimizer's option, or its number at `index`, is a number."""
        several = value if isinstance(value, tuple | list) else []
        if several and not index:
            numbers = " or ".join(f"{self.attribute}.{number}" for number in range(len(several)))
            raise UserError(f"anneal: {self.attribute} has {len(several)} numbers: choose {numbers}")
        if index and index[0] not in map(str, range(len(several))):
            raise UserError(f"anneal: there is no {self.attribute}: choose one such as {' or '.join(options)}")
        if not isinstance(several[int(index[0])] if index else value, int | float):
            raise UserError(f"anneal: {self.attribute} is not a number: choose one such as {' or '.join(options)}")


def replace_item(numbers: Any, index: int, value: float) -> Any:
    """The tuple or list with another number at `index`."""
    return type(numbers)([*numbers[:index], value, *numbers[index + 1 :]])


def find(module: GenerativeModule, names: Sequence[str]) -> tuple[Any, str]:
    """The object that has the last name, and that name; entries of dictionaries go by their keys."""
    owner: Any = module
    for name in names[:-1]:
        entries = dict(owner.items()) if hasattr(owner, "items") else {}
        owner = entries.get(name, getattr(owner, name, None))
    private = any(name.startswith("_") for name in names)  # a path through private names could reach any module
    if private or owner is None or not is_number(getattr(owner, names[-1], None)):
        raise UserError(f"anneal: {'.'.join(names)} is not a number of this model, such as regularizers.r1.weight")
    return owner, names[-1]


def is_number(value: Any) -> bool:
    """Whether it is a number, or a buffer of one floating-point number, such as ADA's p; no weight is."""
    is_buffer = isinstance(value, Tensor) and not isinstance(value, nn.Parameter)
    return isinstance(value, int | float) or (is_buffer and value.dim() == 0 and value.is_floating_point())


@torch.no_grad()
def set_number(owner: Any, name: str, value: float) -> None:
    """Set a number, which keeps its type, or fill a buffer."""
    present = getattr(owner, name)
    if isinstance(present, Tensor):
        present.fill_(value)
    else:
        setattr(owner, name, type(present)(value))
