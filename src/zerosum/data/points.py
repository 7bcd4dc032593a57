"""Endless points on a line or in the plane whose density is known exactly."""

import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.errors import UserError
from zerosum.randomness import generator


class KnownDensity:
    """The part that all such data share; a child has `sample`, an exact `log_prob` and the `reach` of its points."""

    sample_shape: tuple[int, ...] = (2,)
    num_classes: int | None = None
    licence: str | None = "none needed: computed by zerosum"
    samples_to_draw = 1024

    @property
    def name(self) -> str:
        """The name that metric cards carry."""
        return type(self).__name__

    @property
    def reach(self) -> float:
        """Practically all points lie in [-reach, reach], in each coordinate; pictures and quadrature end there."""
        raise NotImplementedError

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Points (count, *sample_shape), and their labels (count,) where there are any."""
        raise NotImplementedError

    def log_prob(self, points: Tensor) -> Tensor:
        """log p(x) in nats, (B,), of points (B, *sample_shape)."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """The distribution's parameters, for metric cards."""
        raise NotImplementedError

    def prepare(self) -> None:
        """There is nothing to read."""

    def stream(self, seed: int, device: torch.device) -> "SampledPoints":
        """Batches that are functions of (seed, index)."""
        return SampledPoints(self, seed, device)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """The samples over the true density: dots in the plane, a histogram on the line."""
        from zerosum.drawing.density import draw_on_line, draw_over_log_prob  # matplotlib takes a second to import

        return (draw_on_line if self.sample_shape == (1,) else draw_over_log_prob)(self.log_prob, self.reach, samples)


class EqualGaussians(KnownDensity):
    """Equally likely isotropic Gaussians of deviation `sigma` at `places` (K, d); a child says what they are."""

    def __init__(self, places: Tensor, sigma: float) -> None:
        if not 0 < sigma < math.inf:
            raise UserError(f"dataset.sigma={sigma} is no standard deviation: take a number above 0")
        self.places = places
        self.sigma = sigma
        self.sample_shape = tuple(places.shape[1:])
        self.shape: dict[str, Any] = {}
        """Where the Gaussians are, for metric cards"""

    @property
    def reach(self) -> float:
        """Six sigma beyond the outermost Gaussian."""
        return float(self.places.abs().max() + 6 * self.sigma)

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Points (count, d) and the indices (count,) of their Gaussians."""
        chosen = torch.randint(len(self.places), (count,), generator=random)
        return self.places[chosen] + self.sigma * torch.randn(count, *self.sample_shape, generator=random), chosen

    def log_prob(self, points: Tensor) -> Tensor:
        """log p(x) of points (B, d): logsumexp_k log N(x; place_k, sigma^2 I) - log K."""
        squared = (points[:, None] - self.places.to(points)).square().sum(2)  # (B, K)
        (dimensions,) = self.sample_shape
        normal = -0.5 * squared / self.sigma**2 - 0.5 * dimensions * math.log(2 * math.pi * self.sigma**2)
        return normal.logsumexp(1) - math.log(len(self.places))


def check_length(option: str, value: float) -> None:
    """UserError at a radius or distance that is not above 0, or is infinite or NaN."""
    if not 0 < value < math.inf:
        raise UserError(f"dataset.{option}={value}: take a number above 0")


def check_place(option: str, *values: float) -> None:
    """UserError at a coordinate that is infinite or NaN."""
    for value in values:
        if not math.isfinite(value):
            raise UserError(f"dataset.{option}: {value} is no place on the line, take finite numbers")


def unless_usual(usual: Any, **parameter: Any) -> dict[str, Any]:
    """The parameter of a card, or nothing at its usual value: so cards from before it was named stay comparable."""
    return {name: value for name, value in parameter.items() if value != usual}


class SampledPoints:
    """Batches of a known density; each is sampled whole from (seed, index), then sharded."""

    def __init__(self, density: KnownDensity, seed: int, device: torch.device) -> None:
        self.density = density
        self.seed = seed
        self.device = device

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """Points (B, *sample_shape) and their labels."""
        points, labels = self.density.sample(size, generator(self.seed, index, "points"))
        return Batch(points[shard].to(self.device), None if labels is None else labels[shard].to(self.device))
