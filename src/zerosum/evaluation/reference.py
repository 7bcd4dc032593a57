"""Real pictures through the feature network, each split once."""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from zerosum.data.images import ImageDataset
from zerosum.evaluation.cached import derived
from zerosum.errors import UserError
from zerosum.evaluation.frechet import FrechetDistance, Gaussian
from zerosum.evaluation.features.extractor import Features
from zerosum.randomness import derive, generator

Item = TypeVar("Item")
AT_ONCE = 2048
"""Rows that are turned to float64 at a time."""


class FeatureSet(NamedTuple):
    """What one pass over N pictures leaves."""

    features: Tensor
    """(N, F) float32"""
    logits: Tensor | None = None
    """(N, classes), where the network classifies"""
    labels: Tensor | None = None
    """(N,) int64, the true ones or those that were asked for"""

    def classes(self) -> Tensor:
        """(N,) labels, or the network's guesses; a UserError where it makes none."""
        if self.labels is not None:
            return self.labels
        if self.logits is None:
            raise UserError("these features do not classify, and there are no labels")
        return self.logits.argmax(1)

    def chosen(self, rows: Tensor) -> "FeatureSet":
        """Some of the pictures."""
        return FeatureSet(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class Reference:
    """The real side of every metric: features of each split, computed on `device` once and cached on disk."""

    def __init__(
        self, dataset: ImageDataset, features: Features, split: str, batch_size: int, device: torch.device
    ) -> None:
        self.dataset = dataset
        self.features = features
        self.split = split
        self.batch_size = batch_size
        self.device = device
        self._sets: dict[str, FeatureSet] = {}
        self._gaussian: Gaussian | None = None
        features.network.to(device)  # type: ignore[attr-defined]

    @property
    def real(self) -> FeatureSet:
        """The split that samples are compared with."""
        return self.of(self.split)

    @property
    def gaussian(self) -> Gaussian:
        """The Gaussian of `real`."""
        if self._gaussian is None:
            self._gaussian = fit_gaussian_of(self.real.features)
        return self._gaussian

    @property
    def other_split(self) -> str | None:
        """What the floor is measured with: held out for train, else train; None where the dataset has none."""
        other = "test" if self.split == "train" else "train"
        return other if other in self.dataset.splits else None

    def of(self, split: str) -> FeatureSet:
        """Features and labels of a split."""
        if split not in self._sets:
            fingerprint = self.dataset.fingerprint(split)
            what = {"pictures": fingerprint, "features": f"{self.features.describe()} {self.features.resize}"}
            path = self.dataset.cache / f"features-{derive(*what.values()):016x}.pt"
            stored = derived(path, what, lambda: self.computed(split))
            labels = self.dataset.split(split).labels
            parts = stored["features"], stored["logits"], None if labels is None else torch.from_numpy(labels)
            self._sets[split] = FeatureSet(*(part if part is None else part.to(self.device) for part in parts))  # type: ignore[arg-type]
        return self._sets[split]

    @torch.inference_mode()
    def computed(self, split: str) -> dict[str, Tensor | None]:
        """Features (N, F) and logits, float32 on the CPU."""
        total = -(-len(self.dataset.split(split).images) // self.batch_size)
        batches = progress_bar(self.dataset.batches(split, self.batch_size), f"features of {self.dataset.name} {split}", total)
        seen = [self.features.network(batch.to(self.device)) for batch in batches]
        features, logits = (
            None if part[0] is None else torch.cat(part).float().cpu() for part in zip(*seen, strict=True)
        )
        return {"features": features, "logits": logits}

    def drawn(self, split: str, count: int, seed: int) -> FeatureSet:
        """`count` pictures of a split without replacement, or all where there are fewer."""
        whole = self.of(split)
        size = len(whole.features)
        rows = torch.randperm(size, generator=generator(seed, "drawn"))[:count] if count < size else torch.arange(size)
        return whole.chosen(rows.to(self.device))


def fit_gaussian_of(features: Tensor) -> Gaussian:
    """The Gaussian of features (N, F), all_reduce_sum in float64 by torchmetrics' states."""
    return accumulated(features, FrechetDistance(features.shape[1]).to(features.device)).gaussian(real=False)


def accumulated(features: Tensor, metric: FrechetDistance) -> FrechetDistance:
    """The metric with the features as its fake side."""
    for rows in features.split(AT_ONCE):
        metric.update(rows, real=False)
    return metric


def progress_bar(items: Iterable[Item], what: str, total: int) -> Iterable[Item]:
    """The items, with a bar on a terminal once they take more than a few seconds."""
    return tqdm(items, what, total, leave=False, delay=3, disable=None)
