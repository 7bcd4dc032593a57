"""Unrolled GANs (Metz et al. 2017): G is scored by the discriminator that D would become in k more steps."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Weights = dict[str, Tensor]


def unrolled(discriminator: nn.Module, optimizer: Optimizer, cost: Callable[[Weights], Tensor], steps: int) -> Weights:
    """D's weights after `steps` steps down `cost`, differentiable in whatever the cost depends on (equations 7 to 9).

    Each step is the one that D's own optimizer would make, Adam with its present state or plain gradient descent.
    """
    weights: Weights = dict(discriminator.named_parameters())
    states: dict[str, Mapping[str, Any]] = {name: optimizer.state.get(weights[name], {}) for name in weights}
    rules = optimizer.param_groups[0]
    for _ in range(steps):
        gradients = torch.autograd.grad(cost(weights), list(weights.values()), create_graph=True)
        moved = {
            name: moved_by_adam(gradient, states[name], rules) if "betas" in rules else (rules["lr"] * gradient, {})
            for name, gradient in zip(weights, gradients, strict=True)
        }
        weights = {name: weights[name] - step for name, (step, _) in moved.items()}
        states = {name: state for name, (_, state) in moved.items()}
    return weights


def moved_by_adam(gradient: Tensor, state: Mapping[str, Any], rules: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """Adam's step (Kingma and Ba 2015, Algorithm 1) without its in-place updates, and its next state."""
    (beta1, beta2), count = rules["betas"], state.get("step", 0) + 1
    mean = torch.lerp(gradient, state.get("exp_avg", torch.zeros_like(gradient)), beta1)
    square = torch.lerp(gradient.square(), state.get("exp_avg_sq", torch.zeros_like(gradient)), beta2)
    # The root of a square that is 0 has an infinite derivative: the floor is far below eps.
    root = (square / (1 - beta2**count)).clamp(min=1e-24).sqrt()
    step = rules["lr"] * (mean / (1 - beta1**count)) / (root + rules["eps"])
    return step, {"step": count, "exp_avg": mean, "exp_avg_sq": square}
