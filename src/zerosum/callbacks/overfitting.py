"""Does D know the training pictures by heart?"""

from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from zerosum.callbacks import data_of, log_metrics, passed
from zerosum.data.pictures import PictureDataset, Split
from zerosum.gan import GAN
from zerosum.randomness import generator
from zerosum.sampling import from_uint8


class Overfitting(Callback):
    """D's mean logit on training, held-out and generated pictures, every `every` images, to the loggers.

    `overfitting/gap` is the mean logit on training pictures less that on held-out ones; `overfitting/r_v` is the gap
    over the distance of training pictures from fakes, and `overfitting/r_t` is E sign(D) on training pictures: Karras
    et al. 2020, ADA, equation 1, where 0 is no overfitting and 1 is a D that knows its pictures. `count` pictures a
    side, the same ones all along, in batches as large as D's own; nothing of D changes by being asked.
    """

    def __init__(self, every: int = 10_000, count: int = 256) -> None:
        self.every = every
        self.count = count
        self.pictures: dict[str, tuple[Tensor, Tensor | None]] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        """Draw the pictures; a dataset without a held-out split, or of points, has nothing to compare."""
        dataset = data_of(trainer).dataset
        if trainer.is_global_zero and isinstance(dataset, PictureDataset) and "test" in dataset.splits:
            self.pictures = {name: self.chosen(dataset.split(name), pl_module) for name in ("train", "test")}

    def chosen(self, split: Split, gan: GAN) -> tuple[Tensor, Tensor | None]:
        """At most `count` pictures, a multiple of what D is shown as one, in [-1, 1]."""
        order = torch.randperm(len(split.images), generator=generator(0, "overfitting"))[: self.count]
        rows = order[: len(order) - len(order) % gan.pack].numpy()
        images = from_uint8(torch.from_numpy(split.images[rows]).permute(0, 3, 1, 2)).to(gan.device)
        return images, None if split.labels is None else torch.from_numpy(split.labels[rows]).to(gan.device)

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int) -> None:
        """When due."""
        if self.pictures and passed(pl_module, self.every):
            log_metrics(trainer, pl_module, self.figures(pl_module, data_of(trainer).batch_size))

    @torch.no_grad()
    def figures(self, gan: GAN, batch_size: int) -> dict[str, float]:
        """The numbers of now."""
        images, labels = self.pictures["train"]
        fakes = gan.sample(range(len(images)), labels)
        sides = {"train": (images, labels), "held_out": self.pictures["test"], "fake": (fakes, labels)}
        logits = {name: asked(gan, *side, batch_size) for name, side in sides.items()}
        train, held_out, fake = (float(side.mean()) for side in logits.values())
        return {
            **{f"logits/{name}": float(side.mean()) for name, side in logits.items()},
            "overfitting/gap": train - held_out,
            "overfitting/r_v": (train - held_out) / (train - fake) if train != fake else 0.0,
            "overfitting/r_t": float(logits["train"].sign().mean()),
        }


def asked(gan: GAN, images: Tensor, labels: Tensor | None, batch_size: int) -> Tensor:
    """D's logits as in training, from copies of its buffers: batch norm's averages and the like stay as they are."""
    weights = {**dict(gan.discriminator.named_parameters()), **dict(gan.discriminator.named_buffers())}
    parts = []
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        copies = {name: tensor.clone() for name, tensor in weights.items()}
        parts.append(gan.score(images[rows], None if labels is None else labels[rows], copies))
    return torch.cat(parts)
