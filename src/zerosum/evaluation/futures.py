"""How good sampled futures are, beside what truly followed and beside the exact forecaster where there is one."""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from zerosum.data.dataset import Dataset
from zerosum.data.series import Series
from zerosum.distributed import on_rank_zero
from zerosum.errors import DivergedError, UserError, check_at_least, check_positive
from zerosum.evaluation.protocol import (
    AnyMetric,
    Direction,
    better_directions,
    check_metrics,
    describe_each,
    describe_selection,
    explain,
    measure_each,
    measure_some,
    score_by_first,
)
from zerosum.randomness import generator
from zerosum.sampling import Model, images

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the true quantiles"""


class Forecasts(NamedTuple):
    """P pasts and what is said of them."""

    pasts: Tensor
    """(P, past)"""
    truth: Tensor
    """(P, future), what followed"""
    sampled: Tensor
    """(P, K, future)"""
    exact: Tensor | None
    """(P, K, future), from the law of the future given the past"""


class ForecastMetric(AnyMetric, Protocol):
    """Judges forecasts."""

    def __call__(self, forecasts: Forecasts) -> dict[str, float]:
        """Named values."""
        ...


def crps(sampled: Tensor, truth: Tensor) -> Tensor:
    """E |X - y| - 1/2 E |X - X'|, unbiased in K samples X (P, K, T) of each y (P, T); returns (P, T).

    The continuous ranked probability score (Gneiting and Raftery 2007, equation 21), in units of the series.
    E |X - X'| over pairs is 2 / (K (K - 1)) sum_i (2 i - K - 1) x_(i) of the sorted samples.
    """
    count = sampled.shape[1]
    weights = 2 * torch.arange(1, count + 1).to(sampled) - count - 1
    spread = (weights[:, None] * sampled.sort(1).values).sum(1) * 2 / (count * (count - 1))
    return (sampled - truth[:, None]).abs().mean(1) - spread / 2


def share_below(sampled: Tensor, values: Tensor) -> Tensor:
    """Share of samples (P, K, T) below each of values (Q, P, T): (Q, P, T)."""
    return (sampled[None] < values[:, :, None]).double().mean(2)


class ForecastScores:
    """CRPS and calibration.

    `crps` is the mean over pasts and steps; `crps_excess` is that less the exact forecaster's. `quantile_error` is the
    mean |share of sampled futures below the true q-quantile - q| over q = 5, 25, 50, 75 and 95%, 0 for the exact
    forecaster but for the noise of its samples. `covered_90` and `covered_50` are the shares of what followed that lie
    in the middle 90% and 50% of the sampled futures: calibration, which needs no exact forecaster. Of K futures the
    exact forecaster's own hold a little less, 88.1% and 48.5% with K = 100: of K + 1 places, those strictly within.
    """

    better: ClassVar[dict[str, Direction]] = {"crps": "lower"}
    compares: ClassVar[str] = "futures"
    has_floor: ClassVar[bool] = True

    def __call__(self, forecasts: Forecasts) -> dict[str, float]:
        sampled, truth = forecasts.sampled, forecasts.truth
        ranks = share_below(sampled, truth[None])[0]
        values = {
            "crps": float(crps(sampled, truth).mean()),
            "covered_50": float(((ranks > 0.25) & (ranks < 0.75)).double().mean()),
            "covered_90": float(((ranks > 0.05) & (ranks < 0.95)).double().mean()),
        }
        if forecasts.exact is None:
            return values
        levels = torch.tensor(LEVELS).to(sampled)
        found = share_below(sampled, torch.quantile(forecasts.exact, levels, 1))
        return {
            **values,
            "crps_excess": values["crps"] - float(crps(forecasts.exact, truth).mean()),
            "quantile_error": float((found - levels.double()[:, None, None]).abs().mean()),
        }

    def describe(self) -> dict[str, Any]:
        return {}


class FuturesProtocol:
    """Metrics of `futures` sampled futures of each of `pasts` held-out pasts; the floor is the exact forecaster's."""

    dataset: Series
    known: Tensor
    """(P, past)"""
    truth: Tensor
    """(P, future)"""
    exact: Tensor | None
    """(P, K, future)"""

    floor_source = "the exact forecaster"

    def __init__(
        self, name: str, metrics: dict[str, ForecastMetric], pasts: int = 200, futures: int = 100, seed: int = 0
    ) -> None:
        check_positive("protocol", pasts=pasts)
        check_at_least("protocol", 2, futures=futures)
        check_metrics(metrics, "futures", "forecasts")
        self.name = name
        self.metrics = metrics
        self.better = better_directions(metrics)
        self.pasts, self.futures, self.seed = pasts, futures, seed
        self.left_out: dict[str, str] = {}

    def prepare(self, dataset: Dataset, device: torch.device | None = None) -> None:
        """Choose the pasts; UserError unless the dataset is a series."""
        if not isinstance(dataset, Series):
            raise UserError(f"protocol={self.name} needs pasts with futures, and {dataset.name} has none")
        dataset.prepare()
        self.dataset = dataset
        self.truth, self.known = dataset.windows(self.pasts, "test", generator(self.seed, "futures"))
        self.exact = dataset.exact(self.known, self.futures, generator(self.seed, "exact"))

    def sample(self, model: Model) -> Tensor:
        """(P, K, future), each from a seed of its own."""
        count = self.pasts * self.futures
        seeds = range(self.seed * count, (self.seed + 1) * count)
        condition = self.known.repeat_interleave(self.futures, 0)
        made = torch.cat([batch.float().cpu() for batch in images(model, seeds, condition, batch_size=2_000)])
        return made.view(self.pasts, self.futures, -1)

    def measure(self, model: Model) -> dict[str, float]:
        """Values of all metrics, the same on every rank."""
        return on_rank_zero(self.judge, self.sample(model))

    def judge(self, sampled: Tensor) -> dict[str, float]:
        """Values of all metrics of futures (P, K, future)."""
        if not sampled.isfinite().all():
            raise DivergedError("the generator's samples hold NaN or infinite values: lower the learning rate")
        forecasts = Forecasts(self.known, self.truth, sampled, self.exact)
        return measure_some(self.metrics, self.left_out, forecasts)

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The value of the first metric, by which the best checkpoint is chosen."""
        return score_by_first(self.metrics, values)

    def floor(self) -> dict[str, float] | None:
        """Values of further futures of the exact forecaster; None where there is none."""
        again = self.dataset.exact(self.known, self.futures, generator(self.seed, "floor"))
        if again is None:
            return None
        metrics = {name: metric for name, metric in self.metrics.items() if metric.has_floor}
        return measure_each(metrics, self.left_out, Forecasts(self.known, self.truth, again, self.exact)) or None

    def card(self) -> dict[str, Any]:
        """Numbers of pasts and futures, their seed, and the series."""
        return {
            "protocol": self.name,
            "dataset": self.dataset.name,
            "pasts": self.pasts,
            "futures": self.futures,
            **self.dataset.describe(),
            "sample_seed": self.seed,
            **describe_each(self.metrics),
        }

    def notes(self) -> dict[str, Any]:
        """Better directions, and reasons for metrics that were left out."""
        return explain(self.better, self.left_out)

    def describe_selection(self) -> str:
        """By the first metric."""
        return describe_selection(self.metrics, "these pasts")
