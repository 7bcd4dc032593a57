"""A distance between patches of images, which needs no network."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.errors import UnmeasurableError, check_positive
from zerosum.evaluation.features.patches import PatchPyramid
from zerosum.evaluation.protocol import Direction
from zerosum.evaluation.reference import FeatureSet, Reference
from zerosum.randomness import generator

AT_ONCE = 16
"""Directions that are projected on together: sorting takes memory for each"""


class SlicedWasserstein:
    """Sliced Wasserstein distance of patches, times 1000 (Karras et al. 2018, progressive GANs, section 5).

    At each level of the pyramid patches are standardized by channel and projected on `slices` random unit vectors;
    the distance is the mean difference of the sorted projections. The value is the mean over levels. As many real
    images are used as samples, or fewer of the larger side.
    """

    kind: ClassVar[str] = "patches"
    better: ClassVar[dict[str, Direction]] = {"sliced_wasserstein": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, slices: int = 128, seed: int = 0) -> None:
        check_positive("metrics.sliced_wasserstein", slices=slices)
        self.slices = slices
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"sliced_wasserstein": mean over levels, "sliced_wasserstein_<resolution>": of each level}"""
        pyramid = reference.features.network
        assert isinstance(pyramid, PatchPyramid)
        count = min(len(reference.real.features), len(fake.features))
        sides = pyramid.by_level(reference.real.features[:count]), pyramid.by_level(fake.features[:count])
        distances = [1000 * self.distance(*level) for level in zip(*sides, strict=True)]
        named = zip(pyramid.resolutions, distances, strict=True)
        mean = {"sliced_wasserstein": sum(distances) / len(distances)}
        return {**mean, **{f"sliced_wasserstein_{resolution}": distance for resolution, distance in named}}

    def distance(self, real: Tensor, fake: Tensor) -> float:
        """Of two equal numbers of patches (P, C, 49)."""
        random = generator(self.seed, "directions")
        directions = torch.randn(real[0].numel(), self.slices, generator=random).to(real.device)
        directions /= directions.norm(dim=0)
        real, fake = standardize(real), standardize(fake)
        parts = directions.split(AT_ONCE, 1)
        differences = [(project(real, part) - project(fake, part)).abs().mean(dtype=torch.float64) for part in parts]
        weights = torch.tensor([part.shape[1] / self.slices for part in parts], dtype=torch.float64)
        return float(torch.stack(differences).cpu() @ weights)

    def extrapolate(self, reference: Reference, real: FeatureSet, count: int) -> dict[str, float]:
        """The value of these images where the reference is the smaller side; a smaller sample has a larger distance."""
        needed = min(count, len(reference.real.features))
        if len(real.features) < needed:
            raise UnmeasurableError(f"the floor needs {needed:,} images and has {len(real.features):,}")
        return self(reference, real)

    def describe(self) -> dict[str, Any]:
        return {"slices": self.slices}


def standardize(patches: Tensor) -> Tensor:
    """Patches (P, C, 49) with mean 0 and deviation 1 in each channel, flattened to (P, C * 49)."""
    deviation, mean = torch.std_mean(patches, dim=(0, 2), keepdim=True, correction=0)
    return ((patches - mean) / deviation.clamp(min=1e-8)).flatten(1)


def project(patches: Tensor, directions: Tensor) -> Tensor:
    """Sorted projections (D, P) of patches (P, F) on directions (F, D)."""
    return (directions.T @ patches.T).sort(dim=1).values
