"""Unrolled GANs (Metz et al. 2017): G is scored by the discriminator that D would become in k more steps."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from zerosum.errors import UserError

Weights = dict[str, Tensor]


def unrolled(discriminator: nn.Module, optimizer: Optimizer, loss: Callable[[Weights], Tensor], steps: int) -> Weights:
    """D's weights after `steps` steps down `loss`, differentiable in whatever it depends on (equations 7 to 9).

    Each step is the one that D's own optimizer would make: Adam with its present state, or plain gradient descent.
    """
    weights: Weights = dict(discriminator.named_parameters())
    states: dict[str, Mapping[str, Any]] = {name: optimizer.state.get(weights[name], {}) for name in weights}
    options = optimizer.param_groups[0]
    for _ in range(steps):
        gradients = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
        updates = {
            name: adam_step(gradient, states[name], options) if "betas" in options else (options["lr"] * gradient, {})
            for name, gradient in zip(weights, gradients, strict=True)
        }
        weights = {name: weights[name] - step for name, (step, _) in updates.items()}
        states = {name: state for name, (_, state) in updates.items()}
    return weights


def adam_step(gradient: Tensor, state: Mapping[str, Any], options: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """Adam's step (Kingma and Ba 2015, Algorithm 1) without in-place updates, and its next state."""
    (beta1, beta2), count = options["betas"], state.get("step", 0) + 1
    mean = torch.lerp(gradient, state.get("exp_avg", torch.zeros_like(gradient)), beta1)
    square = torch.lerp(gradient.square(), state.get("exp_avg_sq", torch.zeros_like(gradient)), beta2)
    # sqrt has an infinite derivative at 0: the floor is far below eps.
    root = (square / (1 - beta2**count)).clamp(min=1e-24).sqrt()
    step = options["lr"] * (mean / (1 - beta1**count)) / (root + options["eps"])
    return step, {"step": count, "exp_avg": mean, "exp_avg_sq": square}


def check_optimizer(optimizer: Optimizer) -> None:
    """UserError if `unrolled` does not know this optimizer's step."""
    extra = [name for name in ("weight_decay", "momentum", "amsgrad", "maximize") if optimizer.defaults.get(name)]
    if type(optimizer) not in (SGD, Adam, AdamW) or extra:
        name = type(optimizer).__name__ + (f" with {' and '.join(extra)}" if extra else "")
        raise UserError(
            f"game.unroll looks ahead by the steps of plain SGD or Adam, and D's optimizer is {name}: use"
            " optimizer=adam, or game.unroll=0"
        )


def weights_with_cloned_buffers(network: nn.Module) -> Weights:
    """Weights for a forward that leaves the network's buffers, such as batch norm's statistics, as they are."""
    clones = {name: buffer.clone() for name, buffer in network.named_buffers()}
    return {**dict(network.named_parameters()), **clones}
