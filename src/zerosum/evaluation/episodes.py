"""How well a policy plays: returns of whole episodes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from zerosum.data.dataset import Dataset
from zerosum.data.demonstrations import Demonstrations
from zerosum.data.environments import Act, first_returns, play
from zerosum.distributed import on_rank_zero
from zerosum.errors import UserError, check_at_least
from zerosum.evaluation.protocol import (
    AnyMetric,
    Direction,
    better_directions,
    check_metrics,
    describe_each,
    describe_selection,
    measure_some,
    score_by_first,
)
from zerosum.sampling import Model


@runtime_checkable
class Player(Protocol):
    """A model that acts."""

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """As `zerosum.data.environments.Act`."""
        ...


class EpisodeMetric(AnyMetric, Protocol):
    """Says something of the returns of episodes."""

    def __call__(self, returns: Tensor) -> dict[str, float]:
        """Named values of returns (N,)."""
        ...


class EpisodeReturn:
    """Mean and deviation of the sum of the environment's rewards, which no imitator sees."""

    better: ClassVar[dict[str, Direction]] = {"episode_return": "higher"}
    compares: ClassVar[str] = "episodes"
    has_floor: ClassVar[bool] = True

    def __call__(self, returns: Tensor) -> dict[str, float]:
        return {"episode_return": float(returns.mean()), "episode_return_deviation": float(returns.std())}

    def describe(self) -> dict[str, Any]:
        return {}


class EpisodeProtocol:
    """Metrics of `episodes` episodes, each to its end or the environment's limit; the floor is what the expert gets."""

    dataset: Demonstrations

    floor_source = "the demonstrator"

    def __init__(self, name: str, metrics: dict[str, EpisodeMetric], episodes: int = 50, seed: int = 0) -> None:
        check_at_least("protocol", 2, episodes=episodes)
        check_metrics(metrics, "episodes", "episode_return")
        self.name = name
        self.metrics = metrics
        self.better = better_directions(metrics)
        self.episodes = episodes
        self.seed = seed
        self.left_out: dict[str, str] = {}

    def prepare(self, dataset: Dataset, device: torch.device | None = None) -> None:
        """Set the dataset; UserError unless it comes from an environment."""
        if not isinstance(dataset, Demonstrations):
            raise UserError(f"protocol={self.name} plays episodes, and {dataset.name} is of no environment")
        self.dataset = dataset

    def measure(self, model: Model) -> dict[str, float]:
        """Values of all metrics, the same on every rank."""
        assert isinstance(model, Player), "an imitator acts"
        return on_rank_zero(self.measure_policy, model.act)

    @torch.no_grad()
    def measure_policy(self, act: Act) -> dict[str, float]:
        """Values of all metrics of a policy."""
        game = self.dataset.environment
        seeds = range(self.seed * self.episodes, (self.seed + 1) * self.episodes)
        returns = first_returns(play(game, act, seeds, game.limit, once=True))
        return measure_some(self.metrics, self.left_out, returns)

    def score(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The value of the first metric, by which the best checkpoint is chosen."""
        return score_by_first(self.metrics, values)

    def floor(self) -> dict[str, float]:
        """Values of the demonstrator itself."""
        game = self.dataset.environment
        return self.measure_policy(game.useless if self.dataset.useless else game.expert)

    def card(self) -> dict[str, Any]:
        """Number of episodes, their seed, the environment and its limit."""
        return {
            "protocol": self.name,
            "dataset": self.dataset.environment.identity,
            "episodes": self.episodes,
            "limit": self.dataset.environment.limit,
            "sample_seed": self.seed,
            **describe_each(self.metrics),
        }

    def notes(self) -> dict[str, Any]:
        """Better directions, and what was demonstrated."""
        pairs = self.dataset.trajectories * -(-self.dataset.environment.limit // self.dataset.every)
        return {"better": dict(self.better), "demonstrator": self.dataset.name, "expert_pairs": pairs}

    def describe_selection(self) -> str:
        """By the first metric."""
        return describe_selection(self.metrics, "these episodes")
