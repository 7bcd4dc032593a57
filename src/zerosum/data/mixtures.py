"""Gaussian mixtures in the plane: endless data with an exactly known density."""

import math

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.dataset import Batch
from zerosum.errors import UserError
from zerosum.randomness import generator

MOST_MODES = 10_000
"""Drawing the density takes memory for each mode."""


class GaussianMixture:
    """Equally likely isotropic Gaussians of standard deviation `sigma` around `means` (K, 2); the label is the mode."""

    sample_shape: tuple[int, ...] = (2,)
    samples_to_draw = 1024

    def __init__(self, means: Tensor, sigma: float) -> None:
        if not 0 < sigma < math.inf:
            raise UserError(f"dataset.sigma={sigma} is no standard deviation: take a number above 0")
        self.means = means
        self.sigma = sigma
        self.num_classes: int | None = len(means)

    @property
    def name(self) -> str:
        """The name that metric cards carry."""
        return type(self).__name__

    def describe(self) -> dict[str, float]:
        """The distribution's parameters, for metric cards."""
        return {"modes_in_all": len(self.means), "sigma": self.sigma}

    def prepare(self) -> None:
        """There is nothing to read."""

    def stream(self, seed: int, device: torch.device) -> "SampledPoints":
        """Batches that are functions of (seed, index)."""
        return SampledPoints(self, seed, device)

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points (count, 2) and the indices of their modes (count,)."""
        modes = torch.randint(len(self.means), (count,), generator=random)
        return self.means[modes] + self.sigma * torch.randn(count, 2, generator=random), modes

    def log_prob(self, points: Tensor) -> Tensor:
        """log p(x) of points (B, 2): logsumexp_k log N(x; mean_k, sigma^2 I) - log K."""
        squared = (points[:, None] - self.means.to(points)).square().sum(2)  # (B, K)
        normal = -0.5 * squared / self.sigma**2 - math.log(2 * math.pi * self.sigma**2)
        return normal.logsumexp(1) - math.log(len(self.means))

    def count_labels(self) -> list[int]:
        """Modes are equally likely."""
        return [1] * len(self.means)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """The samples over the true density."""
        from zerosum.drawing.density import draw_over_density  # matplotlib takes a second to import

        return draw_over_density(self.means, self.sigma, samples)


def check_count(option: str, modes: int) -> None:
    """UserError if a mixture would have no modes, or more than can be drawn."""
    if not 1 <= modes <= MOST_MODES:
        raise UserError(f"dataset.{option} makes {modes:,} modes: take 1 to {MOST_MODES:,}")


class Ring(GaussianMixture):
    """`modes` Gaussians on a circle (Metz et al. 2017, unrolled GANs: 8, radius 2, sigma 0.02)."""

    def __init__(self, modes: int = 8, radius: float = 2.0, sigma: float = 0.02) -> None:
        check_count("modes", modes)
        angles = torch.arange(modes) * (2 * math.pi / modes)
        super().__init__(radius * torch.stack([angles.cos(), angles.sin()], 1), sigma)


class Grid(GaussianMixture):
    """`side` x `side` Gaussians, `spacing` apart (Srivastava et al. 2017, VEEGAN: 25, spacing 2, sigma 0.05)."""

    def __init__(self, side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> None:
        check_count("side", side**2)
        ticks = spacing * (torch.arange(side) - (side - 1) / 2)
        super().__init__(torch.cartesian_prod(ticks, ticks), sigma)


class SampledPoints:
    """Batches of a mixture; each is sampled whole from (seed, index), then sharded."""

    def __init__(self, mixture: GaussianMixture, seed: int, device: torch.device) -> None:
        self.mixture = mixture
        self.seed = seed
        self.device = device

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """Points (B, 2) and their modes."""
        points, modes = self.mixture.sample(size, generator(self.seed, index, "points"))
        return Batch(points[shard].to(self.device), modes[shard].to(self.device))
