"""The contracts of measuring: a protocol says on what, a metric says what."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import torch

from zerosum.data.dataset import Dataset
from zerosum.errors import UserError
from zerosum.sampling import Model

if TYPE_CHECKING:
    from torch import Tensor

    from zerosum.evaluation.reference import FeatureSet, Reference

Direction = Literal["higher", "lower"]


class EvaluationProtocol(Protocol):
    """Metrics of a model against a dataset, at fixed numbers of samples, features and seeds."""

    left_out: dict[str, str]
    """Why each metric that has no value here could not be measured"""

    def prepare(self, dataset: Dataset, device: torch.device) -> None:
        """Compute on `device`, or load, everything that does not depend on the model, or raise a UserError."""
        ...

    def measure(self, model: Model) -> dict[str, float]:
        """Named values of the model's samples."""
        ...

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """Orders measurements: greater is better; best.ckpt has the greatest."""
        ...

    def floor(self) -> dict[str, float] | None:
        """The values of real data in the samples' place; None where there are none."""
        ...

    def card(self) -> dict[str, Any]:
        """Everything that decides whether two values are comparable: samples, split, features, resize, seed."""
        ...


class AnyMetric(Protocol):
    """What metrics of images and of points have in common."""

    better: ClassVar[dict[str, Direction]]
    """Which direction is better for each value that has one; the first decides the best checkpoint, the next ties"""
    has_floor: ClassVar[bool]
    """Whether the value means something for real data in the samples' place"""

    def describe(self) -> dict[str, Any]:
        """The metric's own settings, for the card."""
        ...


class Metric(AnyMetric, Protocol):
    """Values of image samples against real images, both given as features."""

    def __call__(self, reference: "Reference", fake: "FeatureSet") -> dict[str, float]:
        """Named values; raises UnmeasurableError where these features do not allow any."""
        ...


class PointMetric(AnyMetric, Protocol):
    """Values of samples against a distribution that is known."""

    def __call__(self, dataset: Any, samples: "Tensor") -> dict[str, float]:
        """Named values of samples (N, *sample_shape); raises UnmeasurableError where the dataset does not allow any."""
        ...


class UnmeasurableError(UserError):
    """Why a metric has no value here; the others are measured, and the card gives the reason."""


def check_metrics(metrics: Mapping[str, AnyMetric]) -> None:
    """UserError if there is no metric."""
    if not metrics:
        raise UserError("metrics: name at least one, such as metrics=fid, or measure nothing: ~callbacks.evaluate")


def measure_each(metrics: Mapping[str, Any], left_out: dict[str, str], *arguments: Any) -> dict[str, float]:
    """The values of every metric that can be measured; the reasons of the others are added to `left_out`."""
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        try:
            values.update(metric(*arguments))
        except UnmeasurableError as reason:
            left_out[name] = str(reason)
    if not values:
        raise UserError(f"nothing can be measured: {'; '.join(left_out.values())}")
    return values


def score_by_first(metrics: Mapping[str, AnyMetric], values: Mapping[str, float]) -> tuple[float, ...]:
    """The values of the first metric that was measured, in its order, negated where lower is better."""
    for metric in metrics.values():
        if all(name in values for name in metric.better):
            return tuple(values[name] if way == "higher" else -values[name] for name, way in metric.better.items())
    raise KeyError(", ".join(name for metric in metrics.values() for name in metric.better))
