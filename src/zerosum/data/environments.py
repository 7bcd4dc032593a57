"""Environments of gymnasium with few actions, played side by side; each has an expert that is one rule."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from zerosum.errors import UserError
from zerosum.randomness import derive, generator

Act = Callable[[Tensor, Tensor], Tensor]
"""Scaled observations (N, D) and random numbers (N,) ~ U[0, 1) to actions (N,) int64"""


class Environment:
    """One of gymnasium's environments; observations are divided by `scale`, so that networks see numbers near 1."""

    identity: ClassVar[str]
    limit: ClassVar[int]
    """Steps of an episode at most"""
    actions: ClassVar[int]
    scale: ClassVar[tuple[float, ...]]
    coordinates: ClassVar[tuple[tuple[int, str], tuple[int, str]]]
    """The two that pictures show, and their names"""

    def make(self) -> Any:
        """An environment without a limit of steps; UserError without gymnasium."""
        try:
            import gymnasium
        except ImportError as error:
            raise UserError("this dataset plays games of gymnasium: pip install 'zerosum[gymnasium]'") from error
        return gymnasium.make(self.identity, disable_env_checker=True).unwrapped

    def scaled(self, observations: Sequence[Any]) -> Tensor:
        """(N, D) float32."""
        return torch.from_numpy(np.asarray(observations, np.float32) / np.asarray(self.scale, np.float32))

    def expert(self, observations: Tensor, draws: Tensor) -> Tensor:
        """The expert's actions, as `Act`."""
        raise NotImplementedError

    def useless(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Each action with the same probability, as `Act`."""
        return (draws * self.actions).long()


class CartPole(Environment):
    """A pole on a cart, pushed left or right; an episode ends when it falls, or well after 200 steps.

    The expert pushes to the side that the pole falls to, judged by its angle, its speed, and a little by the cart.
    """

    identity = "CartPole-v1"
    limit = 200
    actions = 2
    scale = (1.0, 1.0, 0.2, 1.0)
    coordinates = ((2, "angle of the pole"), (3, "its speed"))

    def expert(self, observations: Tensor, draws: Tensor) -> Tensor:
        return (observations @ torch.tensor([0.02, 0.05, 0.2, 0.5]) > 0).long()


class Acrobot(Environment):
    """Two links that hang, with a motor between them; an episode ends when the tip swings above a line.

    The expert turns the motor the way that the second link moves, which adds energy at every step.
    """

    identity = "Acrobot-v1"
    limit = 500
    actions = 3
    scale = (1.0, 1.0, 1.0, 1.0, 4.0, 6.0)
    coordinates = ((4, "speed of the first link"), (5, "speed of the second"))

    def expert(self, observations: Tensor, draws: Tensor) -> Tensor:
        return 2 * (observations[:, 5] > 0).long()


class Play(NamedTuple):
    """N games of T steps each; a game that ends begins anew in the same step."""

    observations: Tensor
    """(T + 1, N, D)"""
    actions: Tensor
    """(T, N) int64"""
    rewards: Tensor
    """(T, N), of the environment"""
    ends: Tensor
    """(T, N) bool: an episode ended with this step"""


def play(environment: Environment, act: Act, seeds: Sequence[int], steps: int, once: bool = False) -> Play:
    """Game i depends on seeds[i] and `act` alone; with `once`, all stop when the first episode of each is over."""
    games = [environment.make() for _ in seeds]
    draws = [torch.rand(steps, generator=generator(seed, "actions")) for seed in seeds]
    now = [game.reset(seed=derive(seed, "game"))[0] for game, seed in zip(games, seeds, strict=True)]
    observations, actions, rewards, ends = [environment.scaled(now)], [], [], []
    for chance in torch.stack(draws, 1):
        chosen = act(observations[-1], chance)
        moves = [game.step(action)[:3] for game, action in zip(games, chosen.tolist(), strict=True)]
        seen, gains, ended = zip(*moves, strict=True)
        now = [game.reset()[0] if end else last for game, last, end in zip(games, seen, ended, strict=True)]
        observations.append(environment.scaled(now))
        actions.append(chosen)
        rewards.append(torch.tensor(gains))
        ends.append(torch.tensor(ended))
        if once and torch.stack(ends).any(0).all():
            break
    return Play(torch.stack(observations), torch.stack(actions), torch.stack(rewards), torch.stack(ends))


def first_returns(played: Play) -> Tensor:
    """(N,): the sum of rewards of each game's first episode."""
    over = played.ends.long().cumsum(0) - played.ends.long() > 0  # (T, N): the first episode ended before this step
    return played.rewards.masked_fill(over, 0.0).sum(0)
