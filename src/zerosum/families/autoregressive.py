"""Models that predict each value of an image from the values before it: log p(x) = sum_i log p(x_i | x_<i)."""

import copy
import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from zerosum.data.dataset import Batch, Dataset
from zerosum.data.images import ImageDataset
from zerosum.drawing.grid import add_heading
from zerosum.errors import UserError
from zerosum.families.levels import check_images, from_levels, to_levels
from zerosum.families.one_loss import Noise, OneLoss
from zerosum.pixels import from_uint8
from zerosum.sampling import uniforms
from zerosum.training.module import Illustration

COMPLETED, DRAWN = 8, 4
"""Held-out images whose lower half is drawn in a picture, and how often"""


class Choice:
    """Draws values by inversion, so that they are functions of `uniforms` (B, D) in [0, 1) alone.

    Values that are `given` (B, D), in [-1, 1], are kept instead of drawn; the others are NaN there.
    """

    def __init__(self, uniforms: Tensor, given: Tensor | None = None) -> None:
        self.uniforms = uniforms
        self.given = given

    def __call__(self, place: int, logits: Tensor) -> Tensor:
        """(B,), the value at flat index `place` in [-1, 1], of logits (B, levels - 1); that of level 0 is 0."""
        cumulative = pad(logits, (1, 0)).softmax(1).cumsum(1)[:, :-1]
        level = (self.uniforms[:, place, None] >= cumulative).sum(1)
        drawn = from_levels(level, logits.shape[1] + 1).to(logits)
        if self.given is None:
            return drawn
        kept = self.given[:, place]
        return torch.where(kept.isnan(), drawn, kept)


class AutoregressiveNetwork(nn.Module):
    """A network whose `forward` gives logits, of which those of value i depend on the values before i alone.

    Values are `levels` even steps from -1 to 1. A child that can draw an image by less than a whole forward for each
    value writes `generate`.
    """

    def __init__(self, sample_shape: Sequence[int], levels: int) -> None:
        super().__init__()
        self.sample_shape = tuple(sample_shape)
        self.levels = levels

    @property
    def is_raster(self) -> bool:
        """Whether values are predicted row by row, so that the lower rows can be drawn given the upper ones."""
        return len(self.sample_shape) == 3 and self.sample_shape[0] == 1

    @property
    def size(self) -> int:
        """The number of values, D."""
        return math.prod(self.sample_shape)

    def forward(self, images: Tensor) -> Tensor:
        """(B, *sample_shape) to logits (B, levels - 1, *sample_shape); that of level 0 is 0."""
        raise NotImplementedError

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats of (B, *sample_shape)."""
        return log_prob_of_levels(self(images), to_levels(images, self.levels))

    def generate(self, choose: Choice) -> Tensor:
        """(B, *sample_shape), value by value."""
        return self.generate_naively(choose)

    def generate_naively(self, choose: Choice) -> Tensor:
        """The same by a whole forward for each value."""
        images = choose.uniforms.new_zeros(len(choose.uniforms), *self.sample_shape)
        values = images.flatten(1)  # the same memory
        for place in range(self.size):
            values[:, place] = choose(place, self(images).flatten(2)[:, :, place])
        return images


def log_prob_of_levels(logits: Tensor, levels: Tensor) -> Tensor:
    """(B,) nats of levels (B, ...) under logits (B, K - 1, ...), where that of level 0 is 0."""
    whole = pad(logits, (*[0, 0] * (logits.dim() - 2), 1, 0))
    return -cross_entropy(whole, levels, reduction="none").flatten(1).sum(1)


class Autoregressive(OneLoss):
    """An autoregressive network that is trained by maximum likelihood; the likelihood is exact.

    Images are drawn in float64: a probability then moves by 1e-16 with the number of images that are drawn at once, or
    with what is kept from one value to the next, and as rarely a value falls on its other side.
    """

    likelihood: ClassVar[str] = "exact"
    network: AutoregressiveNetwork

    def loss(self, batch: Batch, noise: Noise) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean negative log-likelihood, nats an image."""
        return -self.network.log_prob(batch.images).mean(), {}

    def log_prob(self, images: Tensor) -> Tensor:
        """(B,) nats, by the moving average."""
        return self.average.log_prob(images)

    @property
    def average(self) -> AutoregressiveNetwork:
        """The moving average of the network."""
        return self.ema.network  # type: ignore[return-value]

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), *sample_shape) in [-1, 1]; image i depends on seed i alone."""
        return self.generate(seeds)

    @torch.no_grad()
    def generate(self, seeds: Sequence[int], given: Tensor | None = None, naively: bool = False) -> Tensor:
        """Images of the seeds; `given` (B, *sample_shape) is kept where it is not NaN."""
        network = in_float64(self.average)
        device = next(network.parameters()).device
        drawn = uniforms(seeds, network.size).to(device, torch.float64)
        choose = Choice(drawn, None if given is None else given.to(drawn).flatten(1))
        return (network.generate_naively if naively else network.generate)(choose).to(self.device, torch.float32)

    def complete(self, images: Tensor, rows: int, seeds: Sequence[int]) -> Tensor:
        """Images (B, C, H, W) whose first `rows` rows are kept and whose other rows are drawn given those."""
        if not self.average.is_raster:
            raise UserError(
                f"{type(self).__name__} does not predict gray images row by row, so it completes none; MADE does so"
                " with model.orders=1"
            )
        if (
            not 0 <= rows <= images.shape[2]
            or images.shape[1:] != self.average.sample_shape
            or len(seeds) != len(images)
        ):
            raise UserError(
                f"complete: give images {self.average.sample_shape}, 0 to {self.average.sample_shape[1]} rows that are"
                " kept, and a seed for each image"
            )
        given = images.clone()
        given[:, :, rows:] = math.nan
        return self.generate(seeds, given)

    def illustrate(self, dataset: Dataset) -> dict[str, Illustration]:
        """Held-out images whose lower half is drawn anew."""
        if not self.average.is_raster or not isinstance(dataset, ImageDataset):
            return {}
        images = from_uint8(next(dataset.batches("test", COMPLETED))).to(self.device)
        rows, count = images.shape[2] // 2, len(images)
        upper = images.clone()
        upper[:, :, rows:] = 0  # gray
        drawn = [self.complete(images, rows, range(first, first + count)) for first in range(0, DRAWN * count, count)]
        picture = dataset.draw(torch.stack([images, upper, *drawn], 1).flatten(0, 1), 2 + DRAWN)
        labels = ["held out", "given", *(f"drawn {index + 1}" for index in range(DRAWN))]
        caption = "Held-out images, their upper half, and images drawn given it."
        return {"completions": Illustration(add_heading(picture, labels), caption)}


def check_dropout(dropout: float) -> None:
    """UserError unless it is a share below 1."""
    if not 0 <= dropout < 1:
        raise UserError(f"model.dropout={dropout}: choose the share of units that are left out, from 0 to below 1")


def in_float64(network: AutoregressiveNetwork) -> AutoregressiveNetwork:
    """A copy in float64, on the CPU where the device has no such numbers."""
    parameter = next(network.parameters())
    device = torch.device("cpu") if parameter.device.type == "mps" else parameter.device
    return copy.deepcopy(network).to(device).double()


def levels_of_images(family: str, sample_shape: Sequence[int], levels: int | None) -> int:
    """The levels of the pixels; UserError for points."""
    check_images(family, sample_shape)
    return levels or 256


def check_gray(family: str, sample_shape: Sequence[int]) -> None:
    """UserError for images of several channels."""
    if sample_shape[0] != 1:
        raise UserError(
            f"model: {family} models gray images, this dataset has {sample_shape[0]} channels: take one such as"
            " dataset=binarized_digits"
        )
