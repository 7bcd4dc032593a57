"""What the discriminator says of training, held-out and generated images."""

import json
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from zerosum.data.dataset import Batch, Dataset
from zerosum.data.images import ImageDataset, Split, to_condition
from zerosum.errors import check_positive
from zerosum.files import save_whole
from zerosum.gan.gan import GAN
from zerosum.gan.regularizers import ScoredBatch, squared_gradient_norm
from zerosum.gan.unrolled import weights_with_cloned_buffers
from zerosum.pixels import from_uint8
from zerosum.randomness import generator
from zerosum.training.callbacks.schedule import check_interval, data_of, is_due
from zerosum.training.logs import in_section, log_histogram, log_values
from zerosum.training.module import GenerativeModule

BINS = 40
"""Of each histogram"""
MOST_HISTOGRAMS = 100
"""In the file; beyond, every second one is dropped"""

Sides = dict[str, Tensor]
"""Logits (N,), or (N, P) of patches, of the images called train, fake and, if there are any, held_out"""


class Logits(Callback):
    """Compares D's logits on training, held-out and generated images, every `every` images.

    The same `count` training and held-out images are used each time, in batches of the training's size, and D stays as
    it is. The means, the shares on the right side of 0 where the loss has one (`accuracy`), how well real and fake can
    be told apart (`separation`), D's overfitting and its mean squared gradient in the images go to the loggers, the
    histograms to logit_histograms.json too. Nothing is logged for a model without a discriminator.
    """

    def __init__(self, folder: str, every: int = 10_000, count: int = 256) -> None:
        check_interval("logits", every)
        check_positive("callbacks.logits", count=count)
        self.path = Path(folder) / "logit_histograms.json"
        self.every = every
        self.count = count
        self.real: dict[str, Batch] = {}
        self.histograms: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, pl_module: GenerativeModule) -> None:  # type: ignore[override]
        """Choose the images to compare."""
        if trainer.is_global_zero and isinstance(pl_module, GAN):
            self.real = choose_real(data_of(trainer).dataset, pl_module, self.count)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: GAN, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not (self.real and is_due(pl_module, self.every)):
            return
        size = data_of(trainer).batch_size
        fakes = self.fakes(pl_module)
        sides = {
            name: undisturbed_logits(pl_module, side, size) for name, side in (self.real | {"fake": fakes}).items()
        }
        gradients = squared_gradients(pl_module, {"real": self.real["train"], "fake": fakes}, size)
        values = {**describe_logits(sides, pl_module.loss.zero_separates), **gradients}
        if has_batch_norm(pl_module.discriminator) and pl_module.game.pack == 1:
            values["batch_leak"] = measure_leak(pl_module, self.real["train"], fakes, size, sides)
        log_values(trainer, pl_module, in_section("game", values))
        for name, logits in sides.items():
            log_histogram(trainer, pl_module, "game", f"logits/{name}/histogram", logits)
        self.write(pl_module.images_seen, sides)

    @torch.no_grad()
    def fakes(self, gan: GAN) -> Batch:
        """As many samples as training images, of their labels."""
        train = self.real["train"]
        return Batch(gan.sample(range(len(train.images)), train.condition), train.condition)

    def write(self, images: int, sides: Sides) -> None:
        """Add the histograms to the file."""
        if len(self.histograms) >= MOST_HISTOGRAMS:
            self.histograms = self.histograms[::2]
        self.histograms.append({"images": images, **count_logits(sides)})
        text = json.dumps(self.histograms)
        save_whole(self.path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def state_dict(self) -> dict[str, Any]:
        return {"histograms": self.histograms}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.histograms = list(state_dict["histograms"])


def choose_real(dataset: Dataset, gan: GAN, count: int) -> dict[str, Batch]:
    """Real images called train, and held_out if the dataset has some; their number is a multiple of D's pack."""
    count -= count % gan.game.pack
    if not isinstance(dataset, ImageDataset):
        return {"train": dataset.stream(0, gan.device).batch(0, count, slice(0, count))}
    splits = {"train": "train", "held_out": "test"}
    return {
        name: choose_images(dataset.split(split), gan, count)
        for name, split in splits.items()
        if split in dataset.splits
    }


def choose_images(split: Split, gan: GAN, count: int) -> Batch:
    """At most `count` images in [-1, 1], a multiple of D's pack."""
    order = torch.randperm(len(split.images), generator=generator(0, "overfitting"))[:count]
    rows = order[: len(order) - len(order) % gan.game.pack].numpy()
    images = from_uint8(torch.from_numpy(split.images[rows]).permute(0, 3, 1, 2)).to(gan.device)
    condition = (
        None if split.condition is None else to_condition(torch.from_numpy(split.condition[rows]).to(gan.device))
    )
    batch = Batch(images, condition)
    return batch if gan.conditions is None else batch._replace(condition=gan.conditions.of_batch(batch, 0, 0))


def describe_logits(sides: Sides, zero_separates: bool) -> dict[str, float]:
    """Means, separation, overfitting and, where logit 0 lies between real and fake, accuracy."""
    values = {f"logits/{name}": float(logits.mean()) for name, logits in sides.items()}
    values["logits/greatest"] = max(float(logits.abs().max()) for logits in sides.values())
    fake = sides["fake"]
    values |= {f"separation/{name}": separation(side, fake) for name, side in sides.items() if name != "fake"}
    if zero_separates:
        right = {name: logits < 0 if name == "fake" else logits > 0 for name, logits in sides.items()}
        values |= {f"accuracy/{name}": float(share.float().mean()) for name, share in right.items()}
    return values | measure_overfitting(sides)


def measure_overfitting(sides: Sides) -> dict[str, float]:
    """How far D knows its training images: 0 not at all, 1 by heart (Karras et al. 2020, ADA, equation 1).

    `gap` is the mean logit on training images less that on held-out ones, `r_v` the gap over the distance of training
    images from fakes, and `r_t` E sign(D) on training images. Nothing without held-out images.
    """
    if "held_out" not in sides:
        return {}
    real, held_out, fake = (float(sides[name].mean()) for name in ("train", "held_out", "fake"))
    return {
        "overfitting/gap": real - held_out,
        "overfitting/r_v": (real - held_out) / (real - fake) if real != fake else 0.0,
        "overfitting/r_t": float(sides["train"].sign().mean()),
    }


def separation(real: Tensor, fake: Tensor) -> float:
    """P(a real logit is greater than a fake one), ties counted half: the area under the ROC curve; 1/2 is chance."""
    real, ordered = real.flatten(), fake.flatten().sort().values
    below = torch.searchsorted(ordered, real) + torch.searchsorted(ordered, real, right=True)
    return float(below.double().mean()) / (2 * len(ordered))


def count_logits(sides: Sides) -> dict[str, Any]:
    """Histograms of all sides over the same `edges`; held_out is None without held-out images."""
    everything = torch.cat(list(sides.values())).double()
    low, high = float(everything.min()), float(everything.max())
    edges = torch.linspace(low, max(high, low + 1e-6), BINS + 1, dtype=torch.float64)
    counts = {name: torch.histogram(side.double().cpu(), edges)[0].int().tolist() for name, side in sides.items()}
    return {
        "edges": edges.tolist(),
        "real": counts["train"],
        "held_out": counts.get("held_out"),
        "fake": counts["fake"],
    }


def squared_gradients(gan: GAN, sides: dict[str, Batch], size: int) -> dict[str, float]:
    """E |grad_x D(x)|^2 on one batch of each side, which Roth et al. 2017 and Mescheder et al. 2018 penalize."""
    values = {}
    for name, side in sides.items():
        images = side.images[:size].detach().float().requires_grad_()
        condition = None if side.condition is None else side.condition[:size]
        with torch.enable_grad(), gan.full_precision():
            scores = gan.score(images, condition, weights_with_cloned_buffers(gan.discriminator))
            values[f"squared_gradient/{name}"] = squared_gradient_norm(ScoredBatch(images, scores, condition)).item()
    return values


def has_batch_norm(network: nn.Module) -> bool:
    """Whether a score depends on the other images of its batch by batch norm."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


def measure_leak(gan: GAN, real: Batch, fake: Batch, size: int, apart: Sides) -> float:
    """How much worse D tells real from fake in mixed batches than in batches of one kind, as a separation.

    In batches of one kind batch norm shows D the mean of all fakes at once, and that may be all it learned.
    """
    mixed = Batch(*(None if one is None else interleave(one, other) for one, other in zip(real, fake, strict=True)))  # type: ignore[arg-type]
    logits = undisturbed_logits(gan, mixed, size)
    is_real = torch.arange(len(logits), device=logits.device) % 2 == 0
    return separation(apart["train"], apart["fake"]) - separation(logits[is_real], logits[~is_real])


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Rows of both in turn."""
    return torch.stack([first, second], 1).flatten(0, 1)


@torch.no_grad()
def undisturbed_logits(gan: GAN, batch: Batch, batch_size: int) -> Tensor:
    """Training-mode logits with cloned buffers, so that batch-norm statistics do not change."""
    logits = []
    for start in range(0, len(batch.images), batch_size):
        rows = slice(start, start + batch_size)
        weights = weights_with_cloned_buffers(gan.discriminator)
        condition = None if batch.condition is None else batch.condition[rows]
        logits.append(gan.score(batch.images[rows], condition, weights).logits)
    return torch.cat(logits)
