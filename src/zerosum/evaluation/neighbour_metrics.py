"""Metrics of nearest neighbours in feature space: precision, recall, density, coverage, memorization."""

import math
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from zerosum.errors import UnmeasurableError, UserError, check_positive
from zerosum.evaluation.protocol import Direction
from zerosum.evaluation.reference import FeatureSet, Reference

AT_ONCE = 1024
"""Rows of a distance matrix held at a time"""


class PrecisionRecall:
    """Shares of fakes within a k-nearest ball of reals, and of reals within one of fakes (Kynkaanniemi et al. 2019)."""

    better: ClassVar[dict[str, Direction]] = {"precision": "higher", "recall": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, k: int = 3) -> None:
        check_positive("metrics.precision_recall", k=k)
        self.k = k

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"precision": share, "recall": share}"""
        real, fakes = reference.real.features, fake.features
        in_real, in_fake = radii(real, self.k), radii(fakes, self.k)
        precision = [(near <= in_real).any(1) for near in distances(fakes, real)]
        recall = [(near <= in_fake).any(1) for near in distances(real, fakes)]
        return {"precision": share(precision), "recall": share(recall)}

    def describe(self) -> dict[str, Any]:
        return {"precision_recall_k": self.k}


class DensityCoverage:
    """How many k-nearest balls of reals a fake is in, over k, and the share of balls with one (Naeem et al. 2020)."""

    better: ClassVar[dict[str, Direction]] = {"density": "higher", "coverage": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, k: int = 5) -> None:
        check_positive("metrics.density_coverage", k=k)
        self.k = k

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"density": mean, which may exceed 1, "coverage": share}"""
        real, fakes = reference.real.features, fake.features
        radius = radii(real, self.k)[:, None]
        within = [near <= ball for near, ball in zip(distances(real, fakes), radius.split(AT_ONCE), strict=True)]
        density = sum(int(part.sum()) for part in within) / (self.k * len(fakes))
        return {"density": density, "coverage": share([part.any(1) for part in within])}

    def describe(self) -> dict[str, Any]:
        return {"density_coverage_k": self.k}


class Memorization:
    """P(a sample is nearer to training images than a held-out image is), 1/2 for new draws (Meehan et al. 2020).

    Distances are to the nearest training image and compared within cells of the feature space (k-means of the training
    images), as in section 3 there: 1 means that samples are copies, or close to them. Cells with fewer than `fewest`
    held-out images or samples are left out. `memorization_z` is the paper's test statistic C_T with the sign reversed:
    above 3 it is strong evidence. `memorization_cells` is the share of held-out images in the cells that are compared.

    It sees samples that are nearer to the training images than they should be, for whatever reason: samples that vary
    too little within a cell raise it without any copy. A few copies among many good samples hardly change it.
    """

    better: ClassVar[dict[str, Direction]] = {"memorization": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = False

    def __init__(self, cells: int = 10, fewest: int = 20, seed: int = 0) -> None:
        if cells < 1 or fewest < 1:
            raise UserError(f"metrics.memorization.cells={cells} and .fewest={fewest}: choose 1 or more")
        self.cells = cells
        self.fewest = fewest
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"memorization": probability, "memorization_z": C_T reversed, "memorization_cells": share}"""
        if "test" not in reference.dataset.splits:
            raise UnmeasurableError("memorization needs a held-out split")
        train, held_out = (reference.load(split).features for split in ("train", "test"))
        centres = find_centres(train, min(self.cells, max(len(held_out) // (2 * self.fewest), 1)), self.seed)
        sides = [(side, nearest(side, centres).indices) for side in (train, held_out, fake.features)]
        compared = []
        for cell in range(len(centres)):
            known, unseen, samples = (side[cells == cell] for side, cells in sides)
            if len(known) and min(len(unseen), len(samples)) >= self.fewest:
                probability = share_nearer(nearest(samples, known).distances, nearest(unseen, known).distances)
                deviation = math.sqrt((len(unseen) + len(samples) + 1) / (12 * len(unseen) * len(samples)))
                compared.append((len(unseen), probability, (probability - 0.5) / deviation))
        if not compared:
            raise UnmeasurableError(f"memorization needs a cell with {self.fewest} held-out images and samples")
        weights, probabilities, scores = torch.tensor(compared, dtype=torch.float64).unbind(1)
        return {
            "memorization": float(weights @ probabilities / weights.sum()),
            "memorization_z": float(weights @ scores / weights.sum()),
            "memorization_cells": float(weights.sum() / len(held_out)),
        }

    def describe(self) -> dict[str, Any]:
        return {"memorization_cells_at_most": self.cells, "memorization_fewest": self.fewest}


def find_centres(features: Tensor, count: int, seed: int) -> Tensor:
    """(count, F) centres of k-means cells."""
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=1, random_state=seed).fit(features.cpu().numpy())
    return torch.from_numpy(found.cluster_centers_).to(features)


def share_nearer(samples: Tensor, unseen: Tensor) -> float:
    """P(a sample's distance is smaller than an unseen image's), ties count one half: Mann and Whitney's U / (n m)."""
    unseen = unseen.sort().values
    greater = len(unseen) - torch.searchsorted(unseen, samples, right=True)
    not_smaller = len(unseen) - torch.searchsorted(unseen, samples)
    return float((greater + not_smaller).double().mean() / (2 * len(unseen)))


class Nearest(NamedTuple):
    """The nearest other image of each image."""

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
        raise UnmeasurableError(f"{len(features)} images have no {k}-th neighbour")
    found = []
    for start, part in zip(range(0, len(features), AT_ONCE), distances(features, features), strict=True):
        rows = torch.arange(len(part), device=part.device)
        part[rows, start + rows] = torch.inf  # an image is not its own neighbour
        found.append(part.topk(k, largest=False).values[:, -1])
    return torch.cat(found)


def distances(features: Tensor, others: Tensor) -> Iterator[Tensor]:
    """Euclidean distances, (at most AT_ONCE, M) at a time; centred at the mean of `others`, which reduces rounding."""
    centre = others.mean(0)
    for rows in (features - centre).split(AT_ONCE):
        yield torch.cdist(rows, others - centre)


def share(parts: list[Tensor]) -> float:
    """The share of True values."""
    return float(torch.cat(parts).double().mean())
