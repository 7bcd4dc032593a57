"""The contracts of evaluation: a protocol fixes the data, samples and features, a metric computes values of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import torch

from zerosum.data.dataset import Dataset
from zerosum.errors import DivergedError, UnmeasurableError, UserError, check_has
from zerosum.sampling import Model

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from zerosum.data.images import ImageDataset
    from zerosum.evaluation.reference import FeatureSet, Reference

Direction = Literal["higher", "lower"]


class EvaluationProtocol(Protocol):
    """Metrics of a model against a dataset, at fixed numbers of samples, features and seeds."""

    left_out: dict[str, str]
    """The reason for each metric that could not be measured"""
    better: dict[str, Direction]
    """The better direction of every value that has one"""
    floor_source: str
    """What takes the model's place in the floor"""

    def prepare(self, dataset: Dataset, device: torch.device) -> None:
        """Compute on `device`, or load, all that does not depend on the model; UserError if that is impossible."""
        ...

    def measure(self, model: Model) -> dict[str, float]:
        """Named values of the model's samples, the same on every rank; DivergedError at NaN or infinite ones."""
        ...

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """A key that orders measurements: the greatest is the best."""
        ...

    def floor(self) -> dict[str, float] | None:
        """Values of real data in place of the samples; None if there are none."""
        ...

    def card(self) -> dict[str, Any]:
        """Everything that decides whether two values are comparable: samples, split, features, resize, seed."""
        ...

    def notes(self) -> dict[str, Any]:
        """Further facts for the card, which do not decide that: better directions, hash of the real features ..."""
        ...

    def describe_selection(self) -> str:
        """By which value and on which data the best checkpoint is chosen."""
        ...


@runtime_checkable
class Diagnosing(Protocol):
    """A protocol that has more to say of the samples that it measured last."""

    def diagnose(self) -> dict[str, float]:
        """Named values for curves, which decide nothing."""
        ...


class AnyMetric(Protocol):
    """The common part of metrics of images and of points."""

    better: ClassVar[dict[str, Direction]]
    """The better direction of values that have one; the first value decides the best checkpoint, the next ties"""
    has_floor: ClassVar[bool]
    """Whether the metric makes sense for real data in place of the samples"""

    def describe(self) -> dict[str, Any]:
        """The metric's own settings, for the card."""
        ...


class Metric(AnyMetric, Protocol):
    """Compares samples with real images, both given as features."""

    def __call__(self, reference: "Reference", fake: "FeatureSet") -> dict[str, float]:
        """Named values; UnmeasurableError if these features allow none."""
        ...


@runtime_checkable
class Extrapolating(Protocol):
    """A metric that estimates its value at more images than it is given."""

    def extrapolate(self, reference: "Reference", real: "FeatureSet", count: int) -> dict[str, float]:
        """The values that `count` images would have on average; UnmeasurableError if `real` are too few to tell."""
        ...


class ImageSampling(Protocol):
    """The part of the protocol of images that a metric of the model itself uses."""

    dataset: "ImageDataset"
    reference: "Reference"
    """Features of the real images"""
    split: Literal["train", "test"]
    """Whose labels samples are asked for"""
    n_fake: int
    seed: int
    batch_size: int
    device: torch.device

    def asked_labels(self, model: Model) -> "Tensor | None":
        """(n_fake,) int64: the classes that the model is asked for; None if it is asked for anything else."""
        ...

    def conditions(self, model: Model, rows: Sequence[int]) -> "Tensor | None":
        """(B, ...): what the samples with these numbers are asked for; None for a model that is asked for nothing."""
        ...

    def condition_rows(self, rows: Sequence[int]) -> "np.ndarray":
        """(B,): the images of the split whose conditions the samples with these numbers have."""
        ...

    def sample_images(self, model: Model) -> "Tensor":
        """(n_fake, C, H, W) uint8: the samples in the order of their seeds, on every rank."""
        ...


@runtime_checkable
class ModelMetric(AnyMetric, Protocol):
    """Measures the model itself, or images that it makes, where features of its samples are not enough.

    It needs no features, so it is measured beside metrics of features of any kind.
    """

    def measure_model(self, protocol: ImageSampling, model: Model) -> dict[str, float]:
        """Named values, the same on every rank, all of which call it; UnmeasurableError, on every rank, if none."""
        ...


@runtime_checkable
class RealMeasuring(Protocol):
    """A metric whose floor is not that of the other split's features."""

    def measure_real(self, protocol: ImageSampling) -> dict[str, float]:
        """The values of real data, for the floor; UnmeasurableError if there are none."""
        ...


class PointMetric(AnyMetric, Protocol):
    """Compares samples with a known distribution."""

    def __call__(self, dataset: Any, samples: "Tensor") -> dict[str, float]:
        """Named values of samples (N, *sample_shape); UnmeasurableError if the dataset allows none."""
        ...


def better_directions(metrics: Mapping[str, AnyMetric]) -> dict[str, Direction]:
    """The better direction of every value that has one."""
    return {name: way for metric in metrics.values() for name, way in metric.better.items()}


def directions_of_parts(values: Mapping[str, float], better: Mapping[str, Direction]) -> dict[str, Direction]:
    """The better direction of numbered parts of a value, as sliced_wasserstein_16 of sliced_wasserstein."""
    parts = {name: name.rpartition("_") for name in values if name not in better}
    return {name: better[whole] for name, (whole, _, number) in parts.items() if whole in better and number.isdigit()}


def check_metrics(metrics: Mapping[str, AnyMetric], compared: str, example: str) -> None:
    """UserError if there is no metric, or one compares something else: its `compares`, where it names any, says what.

    Metrics of a model itself are of images or of points.
    """
    if not metrics:
        raise UserError("metrics: name at least one, such as metrics=fid, or measure nothing: ~callbacks.evaluate")
    for name, metric in metrics.items():
        check_has(metric, f"metrics.{name}", "better", "has_floor", "describe")
        other = "images or points" if compared in ("futures", "episodes") and not callable(metric) else compared
        compares = getattr(metric, "compares", other)
        if compares != compared:
            raise UserError(
                f"metrics.{name} measures {compares}, and the protocol has {compared}: take a metric that fits,"
                f" such as metrics={example}, or the dataset's own protocol"
            )


def measure_each(
    metrics: Mapping[str, Callable[..., dict[str, float]]], left_out: dict[str, str], *arguments: Any
) -> dict[str, float]:
    """Values of all metrics that can be measured; reasons for the others are added to `left_out`."""
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        try:
            values.update(metric(*arguments))
        except UnmeasurableError as reason:
            left_out[name] = str(reason)
    for name, value in values.items():
        if not math.isfinite(value):
            raise DivergedError(f"{name} is {value}: its features are damaged or too large, or the model diverged")
    return values


def measure_some(
    metrics: Mapping[str, Callable[..., dict[str, float]]], left_out: dict[str, str], *arguments: Any
) -> dict[str, float]:
    """`measure_each`; UserError if no metric can be measured."""
    values = measure_each(metrics, left_out, *arguments)
    if not values:
        raise UserError(f"nothing can be measured: {'; '.join(left_out.values())}")
    return values


def describe_each(metrics: Mapping[str, AnyMetric]) -> dict[str, Any]:
    """What the metrics add to a card."""
    return {key: value for metric in metrics.values() for key, value in metric.describe().items()}


def explain(better: Mapping[str, Direction], left_out: Mapping[str, str]) -> dict[str, Any]:
    """Notes of a card: better directions, and reasons for metrics that were left out, where any were."""
    return {"better": dict(better), **({"left_out": dict(left_out)} if left_out else {})}


def describe_selection(metrics: Mapping[str, AnyMetric], data: str) -> str:
    """How `score_by_first` chooses the best checkpoint."""
    return f"chosen by {next(iter(metrics))} on {data}, on which it is reported too"


def score_by_first(metrics: Mapping[str, AnyMetric], values: Mapping[str, float]) -> tuple[float, ...]:
    """Values of the first metric that was measured, in its order, negated if lower is better."""
    for metric in metrics.values():
        if all(name in values for name in metric.better):
            return tuple(values[name] if way == "higher" else -values[name] for name, way in metric.better.items())
    raise KeyError(", ".join(name for metric in metrics.values() for name in metric.better))
