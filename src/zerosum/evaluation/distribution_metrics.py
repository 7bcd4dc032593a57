"""Metrics that compare the two distributions as wholes: FID and what derives from it, KID, Inception Score."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.image.inception import InceptionScore as TorchmetricsInceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from zerosum.evaluation.protocol import Direction, UnmeasurableError
from zerosum.evaluation.frechet import frechet_distance
from zerosum.evaluation.reference import FeatureSet, Reference, fit_gaussian_of
from zerosum.randomness import derive, generator


class FID:
    """Frechet distance of all samples from all real pictures (Heusel et al. 2017, equation 6)."""

    better: ClassVar[dict[str, Direction]] = {"fid": "lower"}
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid": distance}"""
        return {"fid": float(frechet_distance(reference.gaussian, fit_gaussian_of(fake.features)))}

    def describe(self) -> dict[str, Any]:
        """Nothing: the protocol says it all."""
        return {}


class FIDInfinity:
    """FID at infinitely many samples: the intercept of FID over 1/N (Chong and Forsyth 2020, section 4).

    Least squares over `points` numbers of samples, drawn at random, from a tenth of them, but at least twice the
    number of features, up to all. The number of real pictures stays what it is.
    """

    better: ClassVar[dict[str, Direction]] = {"fid_infinity": "lower"}
    has_floor: ClassVar[bool] = True

    def __init__(self, points: int = 15, seed: int = 0) -> None:
        self.points = points
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid_infinity": intercept, "fid_infinity_error": its standard error}"""
        count, size = fake.features.shape
        fewest = max(count // 10, 2 * size)
        if fewest > count // 2:
            raise UnmeasurableError(f"fid_infinity needs n_fake over {4 * size}, four times the number of features")
        counts = torch.linspace(fewest, count, self.points).round().long().tolist()
        distances = [self.at(number, reference, fake.features) for number in counts]
        intercept, error = intercept_of(1 / torch.tensor(counts, dtype=torch.float64), torch.stack(distances).cpu())
        return {"fid_infinity": intercept, "fid_infinity_error": error}

    def at(self, number: int, reference: Reference, features: Tensor) -> Tensor:
        """FID of `number` of the samples."""
        rows = torch.randperm(len(features), generator=generator(self.seed, number, "fid_infinity"))[:number]
        return frechet_distance(reference.gaussian, fit_gaussian_of(features[rows.to(features.device)]))

    def describe(self) -> dict[str, Any]:
        """The number of points."""
        return {"fid_infinity_points": self.points}


def intercept_of(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The least squares intercept of y over x, float64 (n,), and its standard error."""
    deviation = x - x.mean()
    slope = (deviation * y).sum() / deviation.square().sum()
    intercept = y.mean() - slope * x.mean()
    variance = (y - intercept - slope * x).square().sum() / (len(x) - 2)
    error = (variance * (1 / len(x) + x.mean().square() / deviation.square().sum())).sqrt()
    return float(intercept), float(error)


class FIDByClass:
    """Mean over classes of the FID within a class (Benny et al. 2021, WCFID); guessed where nothing was asked for."""

    better: ClassVar[dict[str, Direction]] = {"fid_by_class": "lower"}
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"fid_by_class": mean distance}"""
        if reference.real.labels is None:
            raise UnmeasurableError("fid_by_class needs labelled pictures")
        if fake.labels is None and (fake.logits is None or reference.dataset.classes is None):
            raise UnmeasurableError("fid_by_class needs a conditional generator, or features that classify")
        real_classes, fake_classes = reference.real.classes(), fake.classes()
        distances = []
        for label in real_classes.unique():
            rows = fake_classes == label
            if rows.sum() < 2:
                raise UnmeasurableError(f"fid_by_class: no samples of class {int(label)}")
            pair = (reference.real.features[real_classes == label], fake.features[rows])
            distances.append(frechet_distance(*(fit_gaussian_of(features) for features in pair)))
        return {"fid_by_class": float(torch.stack(distances).mean())}

    def describe(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class KID:
    """Squared MMD with the kernel (x.y / F + 1)^3, unbiased, over subsets (Binkowski et al. 2018), by torchmetrics."""

    better: ClassVar[dict[str, Direction]] = {"kid": "lower"}
    has_floor: ClassVar[bool] = True

    def __init__(self, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> None:
        self.subsets = subsets
        self.subset_size = subset_size
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"kid": mean, "kid_std": deviation over subsets}; a subset holds no more than either side does."""
        size = min(self.subset_size, len(reference.real.features), len(fake.features))
        metric = KernelInceptionDistance(
            identity(fake.features), subsets=self.subsets, subset_size=size, sync_on_compute=False
        )
        metric.update(reference.real.features.double(), real=True)
        metric.update(fake.features.double(), real=False)
        mean, deviation = seeded(self.seed, "kid", metric)
        return {"kid": float(mean), "kid_std": float(deviation)}

    def describe(self) -> dict[str, Any]:
        """Subsets and their size."""
        return {"kid_subsets": f"{self.subsets} of at most {self.subset_size}"}


class InceptionScore:
    """exp E KL(p(y|x), p(y)), mean and deviation over 10 parts (Salimans et al. 2016), by torchmetrics."""

    better: ClassVar[dict[str, Direction]] = {"inception_score": "higher"}
    has_floor: ClassVar[bool] = True

    def __init__(self, splits: int = 10, seed: int = 0) -> None:
        self.splits = splits
        self.seed = seed

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"inception_score": mean, "inception_score_std": deviation}"""
        if fake.logits is None:
            raise UnmeasurableError("inception_score needs features that classify")
        metric = TorchmetricsInceptionScore(identity(fake.logits), splits=self.splits, sync_on_compute=False)
        metric.update(fake.logits.double())
        mean, deviation = seeded(self.seed, "inception_score", metric)
        return {"inception_score": float(mean), "inception_score_std": float(deviation)}

    def describe(self) -> dict[str, Any]:
        """The number of parts."""
        return {"inception_score_splits": self.splits}


def identity(rows: Tensor) -> nn.Module:
    """What torchmetrics takes for a feature network: features are features already."""
    network = nn.Identity()
    network.num_features = rows.shape[1]  # type: ignore[assignment]
    return network


def seeded(seed: int, what: str, metric: Any) -> tuple[Tensor, Tensor]:
    """What a metric that shuffles by the global generator computes, as a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, what))
        mean, deviation = metric.compute()
    return mean, deviation
