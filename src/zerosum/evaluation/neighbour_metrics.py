"""Metrics of nearest neighbours in feature space: what is near, what is covered, what is copied."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from zerosum.evaluation.protocol import Direction, UnmeasurableError
from zerosum.evaluation.reference import FeatureSet, Reference

AT_ONCE = 1024
"""Rows of a distance matrix that are held at a time."""


class PrecisionRecall:
    """Shares of fakes within a k-nearest ball of reals, and of reals within one of fakes (Kynkaanniemi et al. 2019)."""

    better: ClassVar[dict[str, Direction]] = {"precision": "higher", "recall": "higher"}
    has_floor: ClassVar[bool] = True

    def __init__(self, k: int = 3) -> None:
        self.k = k

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"precision": share, "recall": share}"""
        real, fakes = reference.real.features, fake.features
        in_real, in_fake = radii(real, self.k), radii(fakes, self.k)
        precision = [(near <= in_real).any(1) for near in distances(fakes, real)]
        recall = [(near <= in_fake).any(1) for near in distances(real, fakes)]
        return {"precision": share(precision), "recall": share(recall)}

    def describe(self) -> dict[str, Any]:
        """The neighbour that gives a ball its radius."""
        return {"precision_recall_k": self.k}


class DensityCoverage:
    """How many k-nearest balls of reals a fake is in, over k, and the share of balls with one (Naeem et al. 2020)."""

    better: ClassVar[dict[str, Direction]] = {"density": "higher", "coverage": "higher"}
    has_floor: ClassVar[bool] = True

    def __init__(self, k: int = 5) -> None:
        self.k = k

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"density": mean, which may exceed 1, "coverage": share}"""
        real, fakes = reference.real.features, fake.features
        radius = radii(real, self.k)[:, None]
        within = [near <= ball for near, ball in zip(distances(real, fakes), radius.split(AT_ONCE), strict=True)]
        density = sum(int(part.sum()) for part in within) / (self.k * len(fakes))
        return {"density": density, "coverage": share([part.any(1) for part in within])}

    def describe(self) -> dict[str, Any]:
        """The neighbour that gives a ball its radius."""
        return {"density_coverage_k": self.k}


class Memorization:
    """P(a sample is closer to its nearest training picture than a held-out picture is to its own), ties one half.

    The statistic of Meehan et al. 2020, section 3: 1/2 for new draws from the data, 1 for copies, and near 0 for
    samples that are far from any data, which is no virtue.
    """

    better: ClassVar[dict[str, Direction]] = {"memorization": "lower"}
    has_floor: ClassVar[bool] = False

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"memorization": probability}"""
        if "test" not in reference.dataset.splits:
            raise UnmeasurableError("memorization needs a held-out split")
        train = reference.of("train").features
        held_out = nearest(reference.of("test").features, train).distances.sort().values
        fakes = nearest(fake.features, train).distances
        farther = len(held_out) - torch.searchsorted(held_out, fakes, right=True)
        not_nearer = len(held_out) - torch.searchsorted(held_out, fakes)
        return {"memorization": float((farther + not_nearer).double().mean() / (2 * len(held_out)))}

    def describe(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class Nearest(NamedTuple):
    """The nearest of other pictures."""

    distances: Tensor
    """(N,)"""
    indices: Tensor
    """(N,) int64"""


def nearest(features: Tensor, others: Tensor) -> Nearest:
    """The nearest row of `others` for each of `features`."""
    found = [part.min(1) for part in distances(features, others)]
    return Nearest(torch.cat([part.values for part in found]), torch.cat([part.indices for part in found]))


def radii(features: Tensor, k: int) -> Tensor:
    """(N,) distances to the k-th nearest other row."""
    if len(features) <= k:
        raise UnmeasurableError(f"{len(features)} pictures have no {k}-th neighbour")
    found = []
    for start, part in zip(range(0, len(features), AT_ONCE), distances(features, features), strict=True):
        rows = torch.arange(len(part), device=part.device)
        part[rows, start + rows] = torch.inf  # a picture is not its own neighbour
        found.append(part.topk(k, largest=False).values[:, -1])
    return torch.cat(found)


def distances(features: Tensor, others: Tensor) -> Iterator[Tensor]:
    """Euclidean distances, (at most AT_ONCE, M) at a time; about the mean of `others`, where rounding is least."""
    centre = others.mean(0)
    for rows in (features - centre).split(AT_ONCE):
        yield torch.cdist(rows, others - centre)


def share(parts: list[Tensor]) -> float:
    """The share of True."""
    return float(torch.cat(parts).double().mean())
