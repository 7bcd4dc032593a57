"""Gaussian mixtures on the line and in the plane: endless data with an exactly known density and known modes."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zerosum.data.points import EqualGaussians, check_length, check_place, unless_usual
from zerosum.errors import UserError

MOST_MODES = 10_000
"""Drawing the density takes memory for each mode."""


class GaussianMixture(EqualGaussians):
    """Equally likely isotropic Gaussians of deviation `sigma` around `means` (K, 1 or 2); the label is the mode.

    Each is a mode of its own, so that modes can be counted.
    """

    def __init__(self, means: Tensor, sigma: float) -> None:
        super().__init__(means, sigma)
        self.num_classes: int | None = len(means)

    @property
    def means(self) -> Tensor:
        """(K, 1 or 2)"""
        return self.places

    def describe(self) -> dict[str, Any]:
        """The distribution's parameters, for metric cards."""
        return {"modes_in_all": len(self.means), "sigma": self.sigma, **self.shape}

    def count_labels(self) -> list[int]:
        """Modes are equally likely."""
        return [1] * len(self.means)

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """The samples over the true density; in the plane each mode is at least a few pixels wide."""
        if self.sample_shape == (1,):
            return super().draw(samples, columns)
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
        check_length("radius", radius)
        angles = torch.arange(modes) * (2 * math.pi / modes)
        super().__init__(radius * torch.stack([angles.cos(), angles.sin()], 1), sigma)
        self.shape = unless_usual(2.0, radius=radius)


class Grid(GaussianMixture):
    """`side` x `side` Gaussians, `spacing` apart (Srivastava et al. 2017, VEEGAN: 25, spacing 2, sigma 0.05)."""

    def __init__(self, side: int = 5, spacing: float = 2.0, sigma: float = 0.05) -> None:
        check_count("side", side * abs(side))
        check_length("spacing", spacing)
        ticks = spacing * (torch.arange(side) - (side - 1) / 2)
        super().__init__(torch.cartesian_prod(ticks, ticks), sigma)
        self.shape = unless_usual(2.0, spacing=spacing)


class Gaussian1D(GaussianMixture):
    """N(mean, sigma^2) on the line: points (B, 1)."""

    def __init__(self, mean: float = 0.0, sigma: float = 1.0) -> None:
        check_place("mean", mean)
        super().__init__(torch.tensor([[float(mean)]]), sigma)
        self.shape = unless_usual(0.0, mean=mean)


class Mixture1D(GaussianMixture):
    """Equally likely Gaussians on the line: points (B, 1)."""

    def __init__(self, means: Sequence[float] = (-1.5, 1.5), sigma: float = 0.5) -> None:
        check_count("means", len(means))
        check_place("means", *means)
        super().__init__(torch.tensor([*map(float, means)])[:, None], sigma)
        self.shape = unless_usual("-1.5, 1.5", means=", ".join(str(float(mean)) for mean in means))
