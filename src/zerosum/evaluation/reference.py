"""Features of real images, computed once for each split."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from zerosum.console import track
from zerosum.data.images import ImageDataset
from zerosum.errors import UnmeasurableError
from zerosum.evaluation.cached import check_tensor, load_or_compute
from zerosum.evaluation.features.extractor import Features, hash_tensors
from zerosum.evaluation.frechet import Gaussian, fit_gaussian
from zerosum.randomness import derive, generator


class FeatureSet(NamedTuple):
    """Features of N images."""

    features: Tensor
    """(N, F) float32"""
    logits: Tensor | None = None
    """(N, classes), None if the network does not classify"""
    labels: Tensor | None = None
    """(N,) int64, the true labels of real images or the labels that samples were conditioned on"""

    def select(self, rows: Tensor) -> "FeatureSet":
        """The images at these rows."""
        return FeatureSet(*(None if part is None else part[rows] for part in self))  # type: ignore[arg-type]


class Reference:
    """The real images that every metric compares with: features of each split, computed on `device`, cached on disk."""

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
        return self.load(self.split)

    @property
    def gaussian(self) -> Gaussian:
        """The Gaussian of `real`."""
        if self._gaussian is None:
            self._gaussian = fit_gaussian(self.real.features)
        return self._gaussian

    @property
    def hash(self) -> str:
        """A hash of the features of `real`."""
        return hash_tensors({"features": self.real.features})

    @property
    def other_split(self) -> str | None:
        """The split that the floor is measured with: test for train, else train; None if the dataset has no other."""
        other = "test" if self.split == "train" else "train"
        return other if other in self.dataset.splits else None

    def has(self, split: str) -> bool:
        """Whether the features of a split are in memory, so that loading them takes no time."""
        return split in self._sets

    def load(self, split: str) -> FeatureSet:
        """Features and labels of a split."""
        if split not in self._sets:
            fingerprint = self.dataset.fingerprint(split)
            made_of = {"images": fingerprint, "features": f"{self.features.describe()} {self.features.resize}"}
            path = self.dataset.cache / f"features-{derive(*made_of.values()):016x}.pt"
            count = len(self.dataset.split(split).images)
            content = load_or_compute(path, made_of, lambda: self.compute(split), lambda node: self.check(node, count))
            labels = self.dataset.split(split).labels
            parts = content["features"], content["logits"], None if labels is None else torch.from_numpy(labels)
            self._sets[split] = FeatureSet(*(part if part is None else part.to(self.device) for part in parts))  # type: ignore[arg-type]
        return self._sets[split]

    @torch.inference_mode()
    def compute(self, split: str) -> dict[str, Any]:
        """Features (N, F) and logits of a split, float32 on the CPU."""
        total = -(-len(self.dataset.split(split).images) // self.batch_size)
        what = f"features of {self.dataset.name} {split}"
        batches = track(self.dataset.batches(split, self.batch_size), what, total)
        outputs = [self.features.network(batch.to(self.device)) for batch in batches]
        features, logits = (
            None if part[0] is None else torch.cat(part).float().cpu() for part in zip(*outputs, strict=True)
        )
        return {"features": features, "logits": logits}

    def check(self, content: dict[str, Any], count: int) -> None:
        """ValueError unless the content holds finite features, and logits, of `count` images."""
        network = self.features.network
        check_tensor("features", content.get("features"), (count, network.num_features))
        if network.num_classes is not None:
            check_tensor("logits", content.get("logits"), (count, network.num_classes))
        elif content.get("logits", 0) is not None:
            raise ValueError("it has logits of a network that does not classify")

    def draw(self, split: str, count: int, seed: int) -> FeatureSet:
        """`count` images of a split without replacement, or all if there are fewer."""
        whole = self.load(split)
        return whole.select(draw_rows(len(whole.features), count, seed).to(self.device))


def draw_rows(size: int, count: int, seed: int) -> Tensor:
    """Indices of `count` of `size` images without replacement, or of all if there are fewer."""
    return torch.randperm(size, generator=generator(seed, "drawn"))[:count] if count < size else torch.arange(size)


def predicted_classes(reference: Reference, images: FeatureSet, metric: str) -> Tensor:
    """(N,) classes that the features predict; UnmeasurableError unless these are the dataset's classes."""
    classes = reference.dataset.classes
    if images.logits is None or classes is None:
        raise UnmeasurableError(f"{metric} needs labelled images and features that classify")
    if images.logits.shape[1] != len(classes):
        name = reference.dataset.name
        raise UnmeasurableError(
            f"{metric} needs features that predict the {len(classes)} classes of {name}, these predict"
            f" {images.logits.shape[1]} others"
        )
    return images.logits.argmax(1)
