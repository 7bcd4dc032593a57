"""Metrics of points against a distribution that is known exactly."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zerosum.data.points import KnownDensity
from zerosum.distributed import on_rank_zero
from zerosum.errors import DivergedError, UserError, check_at_least
from zerosum.evaluation.protocol import (
    ModelMetric,
    PointMetric,
    better_directions,
    check_metrics,
    describe_each,
    describe_selection,
    explain,
    measure_each,
    measure_some,
    score_by_first,
)
from zerosum.evaluation.sample_diagnostics import diagnose_points
from zerosum.sampling import Model, images


class PointProtocol:
    """Metrics of `n_fake` points, of seeds seed * n_fake and following; the floor is as many points of the data."""

    floor_source = "samples of the data's law"

    def __init__(
        self, name: str, metrics: dict[str, PointMetric | ModelMetric], n_fake: int = 10_000, seed: int = 0
    ) -> None:
        check_at_least("protocol", 2, n_fake=n_fake)
        check_metrics(metrics, "points", "points_wasserstein")
        self.name = name
        self.metrics = metrics
        self.better = better_directions(metrics)
        self.n_fake = n_fake
        self.seed = seed
        self.left_out: dict[str, str] = {}
        self.last_samples: Tensor | None = None

    def prepare(self, dataset: KnownDensity, device: torch.device | None = None) -> None:
        """Set the dataset; UserError unless its distribution is known."""
        if not isinstance(dataset, KnownDensity):
            raise UserError(
                f"protocol={self.name} needs a known distribution, {dataset.name} has images: use protocol=fid10k_test"
            )
        self.dataset = dataset

    def measure(self, model: Model) -> dict[str, float]:
        """Values of all metrics, the same on every rank."""
        seeds = range(self.seed * self.n_fake, (self.seed + 1) * self.n_fake)
        samples = torch.cat([batch.cpu() for batch in images(model, seeds, batch_size=self.n_fake)])
        self.last_samples = samples
        if not samples.isfinite().all():
            raise DivergedError("the generator's samples hold NaN or infinite values: lower the learning rate")
        measures = {name: partial(self.measure_metric, metric, model) for name, metric in self.metrics.items()}
        return measure_some(measures, self.left_out, samples)

    def diagnose(self) -> dict[str, float]:
        """Diversity and modes of the samples that were measured last."""
        return {} if self.last_samples is None else diagnose_points(self.dataset, self.last_samples)

    def measure_metric(self, metric: PointMetric | ModelMetric, model: Model, samples: Tensor) -> dict[str, float]:
        """Values of one metric, of the model or of its samples (N, *sample_shape), the same on every rank."""
        if isinstance(metric, ModelMetric):
            return metric.measure_model(self, model)  # type: ignore[arg-type]
        return on_rank_zero(partial(metric, self.dataset), samples)

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The value of the first metric, by which the best checkpoint is chosen."""
        return score_by_first(self.metrics, values)

    def floor(self) -> dict[str, float] | None:
        """Values of as many points of the data."""
        metrics: dict[str, Any] = {name: metric for name, metric in self.metrics.items() if metric.has_floor}
        points, _ = self.dataset.sample(self.n_fake, torch.Generator().manual_seed(self.seed))
        return measure_each(metrics, self.left_out, self.dataset, points) or None

    def card(self) -> dict[str, Any]:
        """Number of samples, their seed, and the distribution."""
        return {
            "protocol": self.name,
            "dataset": self.dataset.name,
            "n_fake": self.n_fake,
            **self.dataset.describe(),
            "sample_seed": self.seed,
            **describe_each(self.metrics),
        }

    def notes(self) -> dict[str, Any]:
        """Better directions, and reasons for metrics that were left out."""
        return explain(self.better, self.left_out)

    def describe_selection(self) -> str:
        """By the first metric."""
        return describe_selection(self.metrics, "these samples")
