"""Distances between samples and a known density that needs to have no modes."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.data.points import KnownDensity
from zerosum.evaluation.protocol import Direction
from zerosum.randomness import generator

DIRECTIONS = 64
"""In which points of the plane are compared, evenly over a half circle"""


class PointsWasserstein:
    """Sliced Wasserstein-1 distance: the mean over directions of W1 between projections (Bonneel et al. 2015).

    On a line W1 is the mean distance of the sorted samples from as many sorted points of the data; on the line there is
    one direction, so it is the Wasserstein distance itself. In units of the data.
    """

    better: ClassVar[dict[str, Direction]] = {"points_wasserstein": "lower"}
    compares: ClassVar[str] = "points"
    has_floor: ClassVar[bool] = True

    def __call__(self, dataset: KnownDensity, samples: Tensor) -> dict[str, float]:
        """{"points_wasserstein": distance} of samples (N, 1 or 2)."""
        real, _ = dataset.sample(len(samples), generator(0, "points_wasserstein"))
        return {"points_wasserstein": sliced_wasserstein(samples.double(), real.double())}

    def describe(self) -> dict[str, Any]:
        return {}


def sliced_wasserstein(one: Tensor, other: Tensor) -> float:
    """Of two sets of as many points, (N, 1 or 2)."""
    angles = torch.arange(DIRECTIONS, dtype=one.dtype) * (math.pi / DIRECTIONS)
    directions = torch.stack([angles.cos(), angles.sin()]) if one.shape[1] == 2 else torch.ones(1, 1, dtype=one.dtype)
    return float(((one @ directions).sort(0).values - (other @ directions).sort(0).values).abs().mean())
