"""Noisy curves in the plane, as densities that can be evaluated: each is a finite mixture of Gaussians along its curve.

Neighbouring Gaussians stand at most two standard deviations apart, so that they merge and are no modes. With noise of
the same sigma around points drawn from the curve itself the density would be an integral without a closed form.
"""

import math
from typing import Any

import torch
from torch import Tensor

from zerosum.data.points import EqualGaussians, check_length, unless_usual
from zerosum.errors import UserError


class Curve(EqualGaussians):
    """Gaussians along a curve, whose parts may have labels (K,)."""

    def __init__(self, places: Tensor, sigma: float, labels: Tensor | None = None) -> None:
        super().__init__(places, sigma)
        self.labels = labels

    def describe(self) -> dict[str, Any]:
        """The distribution's parameters, for metric cards."""
        return {"gaussians": len(self.places), "sigma": self.sigma, **self.shape}

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Points (count, 2), and their labels (count,) where the curve has parts."""
        points, chosen = super().sample(count, random)
        return points, None if self.labels is None else self.labels[chosen]


class SwissRoll(Curve):
    """A spiral: (t cos t, t sin t), t uniform from 1.5 pi to 4.5 pi as in scikit-learn, scaled to `radius`."""

    def __init__(self, radius: float = 3.0, sigma: float = 0.1, gaussians: int = 400) -> None:
        check_gaussians(gaussians)
        check_length("radius", radius)
        t = math.pi * (1.5 + 3 * middles(gaussians))
        places = radius / (4.5 * math.pi) * t[:, None] * torch.stack([t.cos(), t.sin()], 1)
        super().__init__(places, sigma)
        check_overlap(places, sigma)
        self.shape = unless_usual(3.0, radius=radius)


class TwoMoons(Curve):
    """Two half circles, as scikit-learn's make_moons, with the origin at their centre; the label is the moon."""

    num_classes = 2

    def __init__(self, sigma: float = 0.1, gaussians: int = 400) -> None:
        check_gaussians(gaussians)
        t = math.pi * middles(gaussians // 2)
        outer, inner = torch.stack([t.cos(), t.sin()], 1), torch.stack([1 - t.cos(), 0.5 - t.sin()], 1)
        places = torch.cat([outer, inner]) - torch.tensor([0.5, 0.25])
        super().__init__(places, sigma, torch.arange(2).repeat_interleave(len(t)))
        check_overlap(outer, sigma)

    def count_labels(self) -> list[int]:
        """Both moons are equally likely."""
        return [1, 1]


def middles(count: int) -> Tensor:
    """The middles of `count` equal parts of [0, 1]."""
    return (torch.arange(count) + 0.5) / count


def check_gaussians(gaussians: int) -> None:
    """UserError if there are too few to make a curve, or more than are worth their time."""
    if not 20 <= gaussians <= 10_000:
        raise UserError(f"dataset.gaussians={gaussians}: take 20 to 10,000")


def check_overlap(places: Tensor, sigma: float) -> None:
    """UserError if neighbours (K, 2) are further apart than two sigma: two such Gaussians have two modes."""
    apart = float(places.diff(dim=0).norm(dim=1).max())
    if apart > 2 * sigma:
        raise UserError(
            f"dataset.sigma={sigma}: Gaussians that stand {apart:.2g} apart would be modes of their own:"
            " take more dataset.gaussians, or a sigma of at least half of that"
        )
