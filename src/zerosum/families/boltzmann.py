"""The restricted Boltzmann machine as a distribution: energies, block Gibbs steps, and its normalizer.

p(v, h) = exp(b v + c h + h W v) / Z of visible v and hidden h units in {0, 1} (Smolensky 1986; Hinton 2002).
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

MOST_SUMMED = 20
"""Units over whose states Z is summed: 2^20 of them"""
CHUNK = 2**14
"""States that are summed at once"""

Draw = Callable[[int], Tensor]
"""Uniform numbers in [0, 1): (chains, count) of a count, other ones at each call"""


class BoltzmannMachine(nn.Module):
    """Weights W (hidden, visible), biases c and b, and the biases of a model of independent pixels, `base`.

    Between that model (beta = 0) and the machine (beta = 1) lie the distributions that chains are annealed through:
    log p_beta(v) = (1 - beta) base v + beta b v + sum_j softplus(beta (c + W v)_j) - log Z_beta
    (Salakhutdinov and Murray 2008, section 4.1); at beta = 0 every hidden unit is free.
    """

    base: Tensor

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(hidden, visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.register_buffer("base", torch.zeros(visible))

    def log_weight(self, visible: Tensor, beta: float = 1.0) -> Tensor:
        """log p_beta(v) + log Z_beta, (B,), of v (B, visible); at beta = 1 the negative free energy."""
        bias = (1 - beta) * self.base + beta * self.visible_bias
        inputs = beta * linear(visible, self.weight, self.hidden_bias)
        return visible @ bias + softplus(inputs).sum(1)

    def hidden_given(self, visible: Tensor, beta: float = 1.0) -> Tensor:
        """P(h = 1 | v), (B, hidden)."""
        return (beta * linear(visible, self.weight, self.hidden_bias)).sigmoid()

    def visible_given(self, hidden: Tensor, beta: float = 1.0) -> Tensor:
        """P(v = 1 | h), (B, visible)."""
        bias = (1 - beta) * self.base + beta * self.visible_bias
        return (bias + beta * (hidden @ self.weight)).sigmoid()

    @torch.no_grad()
    def step(self, visible: Tensor, draw: Draw, beta: float = 1.0) -> Tensor:
        """One block Gibbs step: all hidden units given the visible ones, then all visible ones given those."""
        hidden = (draw(len(self.hidden_bias)) < self.hidden_given(visible, beta)).to(visible)
        return (draw(len(self.visible_bias)) < self.visible_given(hidden, beta)).to(visible)

    @torch.no_grad()
    def start(self, draw: Draw) -> Tensor:
        """Chains at beta = 0, (B, visible): independent pixels."""
        return (draw(len(self.base)) < self.base.sigmoid()).to(self.base)

    def log_z_of_base(self) -> Tensor:
        """log Z at beta = 0: every hidden unit is free."""
        return softplus(self.base).sum() + len(self.hidden_bias) * math.log(2)

    @property
    def can_be_summed(self) -> bool:
        """Whether one side has so few units that Z is a sum over all of their states."""
        return min(self.weight.shape) <= MOST_SUMMED

    @torch.no_grad()
    def log_z(self) -> Tensor:
        """log Z by summation over the states of the smaller side."""
        hidden, visible = self.weight.shape
        if visible <= hidden:
            return sum_states(visible, self.log_weight)
        return sum_states(
            hidden,
            lambda states: (
                states @ self.hidden_bias + softplus(linear(states, self.weight.T, self.visible_bias)).sum(1)
            ),
        )


def sum_states(units: int, log_weight: Callable[[Tensor], Tensor]) -> Tensor:
    """log sum exp of the weights of all 2^units states, in float64."""
    bits = torch.arange(units)
    parts = []
    for start in range(0, 2**units, CHUNK):
        numbers = torch.arange(start, min(start + CHUNK, 2**units))
        parts.append(log_weight((numbers[:, None] >> bits & 1).double()).logsumexp(0))
    return torch.stack(parts).logsumexp(0)


class Estimate(NamedTuple):
    """log Z by annealed importance sampling."""

    forward: float
    """From the base to the machine: unbiased for Z, so log Z is too low on average and a likelihood too high"""
    reverse: float
    """From the machine to the base: 1 / Z would be unbiased, so log Z is too high on average"""
    deviation: float
    """Standard error of `forward`, by the delta method"""


@torch.no_grad()
def estimate_log_z(machine: BoltzmannMachine, chains: int, temperatures: int, draw: Draw) -> Estimate:
    """Annealed importance sampling both ways (Neal 2001; Salakhutdinov and Murray 2008; Burda et al. 2015).

    `machine` is in float64, and `draw` is of `chains` rows. The chains of the way back start where those of the way
    there ended, drawn again by their weights: exact samples as far as the way there was good enough.
    """
    betas = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64).tolist()
    visible = machine.start(draw)
    there = visible.new_zeros(chains)
    for before, beta in itertools.pairwise(betas):
        there += machine.log_weight(visible, beta) - machine.log_weight(visible, before)
        visible = machine.step(visible, draw, beta)
    visible = visible[resample(there.softmax(0), draw(1)[:, 0])]
    back = visible.new_zeros(chains)
    for before, beta in itertools.pairwise(reversed(betas)):
        visible = machine.step(visible, draw, before)
        back += machine.log_weight(visible, beta) - machine.log_weight(visible, before)
    base = float(machine.log_z_of_base())
    weights = (there - there.max()).exp()
    return Estimate(
        base + log_mean_exp(there), base - log_mean_exp(back), float(weights.std() / weights.mean() / chains**0.5)
    )


def log_mean_exp(values: Tensor) -> float:
    """log of the mean of exp(values)."""
    return float(values.logsumexp(0)) - math.log(len(values))


def resample(weights: Tensor, uniforms: Tensor) -> Tensor:
    """(N,) indices drawn in proportion to the weights (N,)."""
    return torch.searchsorted(weights.cumsum(0), uniforms).clamp(max=len(weights) - 1)
