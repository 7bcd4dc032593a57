"""Metrics that compare whole distributions: FID and its variants, KID, Inception Score."""

import math
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsInceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from zerosum.errors import UnmeasurableError, UserError, check_positive
from zerosum.evaluation.frechet import Gaussian, fit_gaussian, frechet_distance, standard_error
from zerosum.evaluation.protocol import Direction
from zerosum.evaluation.reference import FeatureSet, Reference, predicted_classes
from zerosum.randomness import derive, generator


class FID:
    """Frechet distance of all samples from all real images (Heusel et al. 2017, equation 6)."""

    better: ClassVar[dict[str, Direction]] = {"fid": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid": distance}"""
        return {"fid": float(frechet_distance(reference.gaussian, fit_gaussian(fake.features)))}

    def extrapolate(self, reference: Reference, real: FeatureSet, count: int) -> dict[str, float]:
        """FID of `count` images: the parabola over 1/N through FID of all N images, their halves and their thirds."""
        size = len(real.features)
        check_enough(real.features)
        distances = [mean_fid_of_parts(reference.gaussian, real.features, parts) for parts in (1, 2, 3)]
        parabola = np.polyfit([1 / size, 2 / size, 3 / size], distances, 2)
        return {"fid": float(np.polyval(parabola, 1 / count))}

    def describe(self) -> dict[str, Any]:
        return {}


class FIDInfinity:
    """FID at infinitely many samples: the intercept of FID over 1/N (Chong and Forsyth 2020, section 4).

    A line is fitted to `points` numbers of samples, drawn at random, from a tenth of them, but at least twice the
    number of features, up to all. The number of real images does not change.
    """

    better: ClassVar[dict[str, Direction]] = {"fid_infinity": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, points: int = 15, seed: int = 0) -> None:
        if points < 3:
            raise UserError(f"metrics.fid_infinity.points={points}: the error of a line needs 3 or more points")
        self.points = points
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid_infinity": intercept, "fid_infinity_error": its standard deviation over draws of the samples}

        The variance of the intercept is that of the fit plus that of the samples, which all points share.
        """
        line = fit_fid_line(reference.gaussian, fake.features, self.points, self.seed)
        of_samples = float(standard_error(reference.gaussian, fake.features))
        return {"fid_infinity": line.intercept, "fid_infinity_error": math.hypot(line.intercept_stderr, of_samples)}

    def extrapolate(self, reference: Reference, real: FeatureSet, count: int) -> dict[str, float]:
        """The same: the intercept does not depend on the number of images."""
        return self(reference, real)

    def describe(self) -> dict[str, Any]:
        return {"fid_infinity_points": self.points}


def fit_fid_line(real: Gaussian, features: Tensor, points: int = 15, seed: int = 0) -> Any:
    """FID over 1/N as a line, by least squares: scipy's result, with intercept, slope and intercept_stderr."""
    from scipy.stats import linregress

    count, size = features.shape
    check_enough(features)
    counts = torch.linspace(max(count // 10, 2 * size), count, points).round().long().tolist()
    distances = []
    for number in counts:
        rows = torch.randperm(count, generator=generator(seed, number, "fid_infinity"))[:number]
        distances.append(float(frechet_distance(real, fit_gaussian(features[rows.to(features.device)]))))
    return linregress([1 / number for number in counts], distances)


def mean_fid_of_parts(real: Gaussian, features: Tensor, parts: int, repeats: int = 4) -> float:
    """Mean FID of disjoint random parts of equal size, over `repeats` divisions."""
    distances = []
    for repeat in range(repeats if parts > 1 else 1):
        order = torch.randperm(len(features), generator=generator(repeat, parts, "parts")).to(features.device)
        for rows in order.split(len(features) // parts)[:parts]:
            distances.append(float(frechet_distance(real, fit_gaussian(features[rows]))))
    return sum(distances) / len(distances)


def check_enough(features: Tensor) -> None:
    """UnmeasurableError if FID of parts of the images is not yet nearly a line over 1/N."""
    count, size = features.shape
    if count < 4 * size:
        raise UnmeasurableError(f"FID over 1/N needs {4 * size:,} images, four for each feature, and has {count:,}")


class FIDByClass:
    """Mean over classes of the FID within a class (Benny et al. 2021, WCFID).

    Classes of unconditional samples are those that the features predict, which must be the classes of the dataset.
    """

    better: ClassVar[dict[str, Direction]] = {"fid_by_class": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid_by_class": mean distance}"""
        real_classes = reference.real.labels
        if real_classes is None:
            raise UnmeasurableError("fid_by_class needs labelled images")
        fake_classes = predicted_classes(reference, fake, "fid_by_class") if fake.labels is None else fake.labels
        distances = []
        for label in real_classes.unique():
            pair = []
            for images, classes, kind in ((reference.real, real_classes, "images"), (fake, fake_classes, "samples")):
                rows = classes == label
                if rows.sum() < 2:
                    raise UnmeasurableError(f"fid_by_class needs 2 or more {kind} of class {int(label)}")
                pair.append(fit_gaussian(images.features[rows]))
            distances.append(frechet_distance(*pair))
        return {"fid_by_class": float(torch.stack(distances).mean())}

    def describe(self) -> dict[str, Any]:
        return {}


class KID:
    """Squared MMD with the kernel (x.y / F + 1)^3, unbiased, over subsets (Binkowski et al. 2018), by torchmetrics."""

    better: ClassVar[dict[str, Direction]] = {"kid": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> None:
        check_positive("metrics.kid", subsets=subsets, subset_size=subset_size)
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"kid": mean, "kid_std": deviation over subsets}; a subset is at most as large as either side."""
        size = min(self.subset_size, len(reference.real.features), len(fake.features))
        metric = KernelInceptionDistance(
            make_identity(fake.features), subsets=self.subsets, subset_size=size, sync_on_compute=False
        )
        metric.update(reference.real.features.double(), real=True)
        metric.update(fake.features.double(), real=False)
        mean, deviation = compute_seeded(metric, self.seed, "kid")
        return {"kid": float(mean), "kid_std": float(deviation)}

    def extrapolate(self, reference: Reference, real: FeatureSet, count: int) -> dict[str, float]:
        """The same: KID is unbiased at any number of images."""
        return self(reference, real)

    def describe(self) -> dict[str, Any]:
        return {"kid_subsets": f"{self.subsets} of at most {self.subset_size}"}


class InceptionScore:
    """exp E KL(p(y|x), p(y)), mean and deviation over `splits` parts (Salimans et al. 2016), by torchmetrics."""

    better: ClassVar[dict[str, Direction]] = {"inception_score": "higher"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __init__(self, splits: int = 10, seed: int = 0) -> None:
        check_positive("metrics.inception_score", splits=splits)
        self.splits = splits
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"inception_score": mean, "inception_score_std": deviation}"""
        if fake.logits is None:
            raise UnmeasurableError("inception_score needs features that classify")
        metric = TorchmetricsInceptionScore(make_identity(fake.logits), splits=self.splits, sync_on_compute=False)
        metric.update(fake.logits.double())
        mean, deviation = compute_seeded(metric, self.seed, "inception_score")
        return {"inception_score": float(mean), "inception_score_std": float(deviation)}

    def describe(self) -> dict[str, Any]:
        return {"inception_score_splits": self.splits}


def make_identity(rows: Tensor) -> nn.Module:
    """A network that returns its input: torchmetrics is given features in place of images."""
    network = nn.Identity()
    network.num_features = rows.shape[1]  # type: ignore[assignment]
    return network


def compute_seeded(metric: Any, seed: int, name: str) -> tuple[Tensor, Tensor]:
    """Compute a metric that shuffles by torch's global generator, as a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, name))
        mean, deviation = metric.compute()
    return mean, deviation
