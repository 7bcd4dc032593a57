"""A policy of discrete actions, and proximal policy optimization (Schulman et al. 2017)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax


class Policy(nn.Module):
    """Two networks of tanh units: logits of actions, and the value of observations.

    The value is the mean of future rewards, that is V(s) (1 - discount), so that it is as large as a reward.
    """

    def __init__(self, observations: int, actions: int, width: int = 64) -> None:
        super().__init__()
        self.actor = make_layers(observations, width, actions)
        self.critic = make_layers(observations, width, 1)

    def forward(self, observations: Tensor) -> Tensor:
        """(B, D) to log pi(. | s), (B, actions)."""
        return log_softmax(self.actor(observations), -1)

    def value(self, observations: Tensor) -> Tensor:
        """(..., D) to (...)."""
        return self.critic(observations).squeeze(-1)

    def act(self, observations: Tensor, draws: Tensor) -> Tensor:
        """Actions (B,) drawn by random numbers (B,) ~ U[0, 1)."""
        shares = self(observations).exp().cumsum(-1)
        return (shares[:, :-1] <= draws[:, None]).sum(1)


def make_layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; the last one begins near 0, so that a new policy is nearly uniform."""
    last = nn.Linear(width, outputs)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), last)


def advantages(rewards: Tensor, values: Tensor, ends: Tensor, discount: float, trace: float) -> Tensor:
    """A_t = sum_k (discount trace)^k delta_{t+k} (Schulman et al. 2016, equation 16), (T, N).

    delta_t = (1 - discount) r_t + discount V_{t+1} - V_t with mean rewards V (T + 1, N) as values, and V_{t+1} = 0
    after an end. Nothing is carried over an end (T, N).
    """
    found = torch.zeros_like(rewards)
    carried = torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        goes_on = (~ends[step]).float()
        delta = (1 - discount) * rewards[step] + discount * values[step + 1] * goes_on - values[step]
        carried = delta + discount * trace * goes_on * carried
        found[step] = carried
    return found


class Experience(NamedTuple):
    """What a policy is improved by, B rows."""

    observations: Tensor
    actions: Tensor
    log_probs: Tensor
    """Of the actions, under the policy that took them"""
    advantages: Tensor
    targets: Tensor
    """Of the value"""


def ppo_loss(policy: Policy, seen: Experience, clip: float, entropy: float) -> Tensor:
    """-E min(r A, clamp(r, 1 - clip, 1 + clip) A) + 1/2 E (V - target)^2 - entropy H (equation 9 of the paper)."""
    log_probs = policy(seen.observations)
    taken = log_probs.gather(1, seen.actions[:, None]).squeeze(1)
    ratio = (taken - seen.log_probs).exp()
    gain = torch.minimum(ratio * seen.advantages, ratio.clamp(1 - clip, 1 + clip) * seen.advantages)
    error = (policy.value(seen.observations) - seen.targets).square()
    spread = -(log_probs.exp() * log_probs).sum(1)
    return (-gain + 0.5 * error - entropy * spread).mean()
