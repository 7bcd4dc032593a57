"""What the samples of an evaluation say besides its metrics: diversity, classes, nearness to training images.

These go to the curves and to the doctor, not to metrics.json: no model is chosen by them.
"""

import torch
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.data.points import KnownDensity
from zerosum.evaluation.neighbour_metrics import nearest
from zerosum.evaluation.reference import FeatureSet, Reference
from zerosum.randomness import generator

MOST_CLASSES = 20
"""The shares of more classes would be too many curves"""
MISSING = 0.1
"""A class is missing if the samples have less than a tenth of its share in the data"""
FEWEST_A_MODE = 20
"""Samples near a mode for each mode there is: shares of fewer say nothing"""
MOST_COMPARED = 2_000
"""Samples, and images of each split, whose nearest neighbours are sought"""


def total_variance(vectors: Tensor) -> float:
    """The trace of the covariance of (N, F): half the mean squared distance of two of them."""
    return float(vectors.double().var(0).sum())


def compare_diversity(fake: Tensor, real: Tensor) -> dict[str, float]:
    """The samples' total variance over the data's: 1 is as diverse, 0 is one sample repeated."""
    return {"diversity": total_variance(fake) / max(total_variance(real), 1e-12)}


def compare_classes(fake: Tensor, real: Tensor, names: list[str]) -> dict[str, float]:
    """The share of each class among the samples, and how many classes of the data are missing, and what part of them.

    Labels are (N,) and (M,).
    """
    shares, expected = (
        torch.bincount(side, minlength=len(names)).double().cpu() / max(1, len(side)) for side in (fake, real)
    )
    count = float(((shares < MISSING * expected) & (expected > 0)).sum())
    missing = {"classes_missing": count, "classes_missing_share": count / max(1, int((expected > 0).sum()))}
    if len(names) > MOST_CLASSES:
        return missing
    return {f"class_share/{name}": float(share) for name, share in zip(names, shares, strict=True)} | missing


def compare_nearness(fake: Tensor, train: Tensor, held_out: Tensor) -> dict[str, float]:
    """Median distances of samples to their nearest training and held-out image, of as many of each.

    `nearer_to_train` is the share of samples that are nearer to a training image: 1/2 unless the model copies.
    """
    count = min(len(train), len(held_out), MOST_COMPARED)
    samples = fake[:MOST_COMPARED]
    to_train, to_held_out = (nearest(samples, draw(side, count)).distances for side in (train, held_out))
    return {
        "nearest/train": float(to_train.median()),
        "nearest/held_out": float(to_held_out.median()),
        "nearer_to_train": float((to_train < to_held_out).double().mean()),
    }


def draw(rows: Tensor, count: int) -> Tensor:
    """`count` of the rows, always the same ones."""
    return rows[torch.randperm(len(rows), generator=generator(0, "compared"))[:count].to(rows.device)]


@torch.inference_mode()
def diagnose_features(reference: Reference, fake: FeatureSet, other: str | None) -> dict[str, float]:
    """Values of the samples' features; `other` is a split besides the reference's own whose features are at hand."""
    values = compare_diversity(fake.features, reference.real.features)
    classes = reference.dataset.classes
    if fake.logits is not None and classes is not None and fake.logits.shape[1] == len(classes):
        assert reference.real.labels is not None
        values |= compare_classes(fake.logits.argmax(1), reference.real.labels, [str(name) for name in classes])
    if other is not None:
        splits = {reference.split: reference.real.features, other: reference.load(other).features}
        values |= compare_nearness(fake.features, splits["train"], splits["test"])
    return values


def diagnose_points(dataset: KnownDensity, samples: Tensor) -> dict[str, float]:
    """Values of samples (N, *sample_shape) of a known density; the classes of a mixture are its modes."""
    points, _ = dataset.sample(len(samples), generator(0, "compared"))
    values = compare_diversity(samples, points)
    if not isinstance(dataset, GaussianMixture):
        return values
    names = [str(index) for index in range(len(dataset.means))]
    near = modes_of(dataset, samples)
    if len(near) < FEWEST_A_MODE * len(names):
        return values
    return values | compare_classes(near, modes_of(dataset, points), names)


def modes_of(dataset: GaussianMixture, points: Tensor) -> Tensor:
    """The nearest mode of each point that is within 3 sigma of one."""
    distances, modes = torch.cdist(points, dataset.means).min(1)
    return modes[distances <= 3 * dataset.sigma]
