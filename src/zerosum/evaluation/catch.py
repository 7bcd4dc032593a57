"""Planning by sampled futures: where to stand now to catch something later."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.errors import UserError, check_positive
from zerosum.evaluation.futures import Forecasts
from zerosum.evaluation.protocol import Direction

PLACES = torch.linspace(-3, 3, 121)
"""Where one may stand"""


class Catch:
    """The chance to catch the series at a step of the future, within `reach` of the place that was chosen.

    `caught_by_futures` is that of the place with the most sampled futures in reach, `caught_by_mean` that of the mean
    of the same futures, which is where none of them may go. Chances are counted by futures of the exact forecaster, or
    without one by what followed; the floor plans by further futures of it.
    """

    better: ClassVar[dict[str, Direction]] = {"caught_by_futures": "higher"}
    compares: ClassVar[str] = "futures"
    has_floor: ClassVar[bool] = True

    def __init__(self, step: int = 8, reach: float = 0.2) -> None:
        check_positive("metrics.catch", step=step)
        if not reach > 0:
            raise UserError(f"metrics.catch.reach={reach}: choose a distance above 0")
        self.step = step
        self.reach = reach

    def __call__(self, forecasts: Forecasts) -> dict[str, float]:
        if self.step > forecasts.truth.shape[1]:
            raise UserError(f"metrics.catch.step={self.step}: a future has {forecasts.truth.shape[1]} steps")
        sampled = forecasts.sampled[:, :, self.step - 1]
        true = forecasts.truth[:, None] if forecasts.exact is None else forecasts.exact
        plans = {"caught_by_futures": best_places(sampled, self.reach), "caught_by_mean": sampled.mean(1)}
        return {name: chance(places, true[:, :, self.step - 1], self.reach) for name, places in plans.items()}

    def describe(self) -> dict[str, Any]:
        return {"catch_step": self.step, "catch_reach": self.reach}


def best_places(futures: Tensor, reach: float) -> Tensor:
    """(P,): of all places, that with the most futures (P, K) in reach; the middle one of equals."""
    near = (futures[:, :, None] - PLACES).abs() <= reach  # (P, K, A)
    counts = near.double().mean(1)
    best = counts == counts.max(1, keepdim=True).values
    rank = best.cumsum(1)
    middle = (rank == (rank[:, -1:] + 1) // 2) & best
    return PLACES[middle.double().argmax(1)]


def chance(places: Tensor, futures: Tensor, reach: float) -> float:
    """Share of futures (P, K) in reach of their places (P,)."""
    return float(((futures - places[:, None]).abs() <= reach).double().mean())
