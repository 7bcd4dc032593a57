"""Measures whether the discriminator memorizes its training images."""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.data.images import ImageDataset, Split
from zerosum.errors import check_positive
from zerosum.gan.gan import GAN
from zerosum.gan.unrolled import weights_with_cloned_buffers
from zerosum.pixels import from_uint8
from zerosum.randomness import generator
from zerosum.training.callbacks.schedule import check_interval, data_of, is_due
from zerosum.training.logs import in_section, log_values
from zerosum.training.module import GenerativeModule


class Overfitting(Callback):
    """Logs D's mean logit on training, held-out and generated images, every `every` images.

    `overfitting/gap` is the mean logit on training images less that on held-out ones; `overfitting/r_v` is the gap
    over the distance of training images from fakes, and `overfitting/r_t` is E sign(D) on training images: Karras et
    al. 2020, ADA, equation 1, where 0 means no overfitting and 1 a D that knows its images. The same `count` images are
    used each time, in batches of the training's size, and D stays as it is. Nothing is logged for a model without a
    discriminator or a dataset without held-out images.
    """

    def __init__(self, every: int = 10_000, count: int = 256) -> None:
        check_interval("overfitting", every)
        check_positive("callbacks.overfitting", count=count)
        self.every = every
        self.count = count
        self.real: dict[str, Batch] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:  # type: ignore[override]
        """Choose the images to compare."""
        dataset = data_of(trainer).dataset
        if not (trainer.is_global_zero and isinstance(pl_module, GAN) and isinstance(dataset, ImageDataset)):
            return
        if "test" in dataset.splits:
            self.real = {name: self.choose(dataset.split(name), pl_module) for name in ("train", "test")}

    def choose(self, split: Split, gan: GAN) -> Batch:
        """At most `count` images in [-1, 1], a multiple of D's pack."""
        order = torch.randperm(len(split.images), generator=generator(0, "overfitting"))[: self.count]
        rows = order[: len(order) - len(order) % gan.game.pack].numpy()
        images = from_uint8(torch.from_numpy(split.images[rows]).permute(0, 3, 1, 2)).to(gan.device)
        labels = None if split.labels is None else torch.from_numpy(split.labels[rows]).to(gan.device)
        return Batch(images, labels)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.real and is_due(pl_module, self.every):
            values = self.values(pl_module, data_of(trainer).batch_size)
            log_values(trainer, pl_module, in_section("game", values))

    @torch.no_grad()
    def values(self, gan: GAN, batch_size: int) -> dict[str, float]:
        """The values to log now."""
        train = self.real["train"]
        fakes = Batch(gan.sample(range(len(train.images)), train.condition), train.condition)
        sides = {"train": train, "held_out": self.real["test"], "fake": fakes}
        logits = {name: undisturbed_logits(gan, side, batch_size) for name, side in sides.items()}
        real, held_out, fake = (float(side.mean()) for side in logits.values())
        return {
            **{f"logits/{name}": float(side.mean()) for name, side in logits.items()},
            "overfitting/gap": real - held_out,
            "overfitting/r_v": (real - held_out) / (real - fake) if real != fake else 0.0,
            "overfitting/r_t": float(logits["train"].sign().mean()),
        }


def undisturbed_logits(gan: GAN, batch: Batch, batch_size: int) -> Tensor:
    """Training-mode logits with cloned buffers, so that batch-norm statistics do not change."""
    logits = []
    for start in range(0, len(batch.images), batch_size):
        rows = slice(start, start + batch_size)
        weights = weights_with_cloned_buffers(gan.discriminator)
        condition = None if batch.condition is None else batch.condition[rows]
        logits.append(gan.score(batch.images[rows], condition, weights).logits)
    return torch.cat(logits)
