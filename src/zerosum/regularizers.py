"""Penalties added to the discriminator's cost, each with its equation."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Scored(NamedTuple):
    """A batch and its logits in one graph, so that a gradient penalty costs no second forward."""

    images: Tensor
    """(B, C, H, W), requiring gradients wherever a regularizer is due."""
    logits: Tensor
    """(B,)"""


Critic = Callable[[Tensor], Tensor]


class Regularizer(nn.Module):
    """A weighted penalty, evaluated on every k-th step (lazy regularization, Karras et al. 2020, StyleGAN2).

    A module, so that whatever state it keeps is part of the checkpoint.
    """

    def __init__(self, weight: float, every: int = 1) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every={every}: a regularizer is evaluated on every k-th step, k >= 1")
        self.weight = weight
        self.every = every

    def penalty(self, critic: Critic, real: Scored, fake: Scored) -> Tensor:
        """The unweighted penalty, a scalar."""
        raise NotImplementedError

    def due(self, step: int) -> bool:
        """Whether this step evaluates the penalty."""
        return step % self.every == 0

    def forward(self, critic: Critic, real: Scored, fake: Scored) -> Tensor:
        """weight * every * penalty: the same mean gradient whatever `every` is."""
        return self.weight * self.every * self.penalty(critic, real, fake)


def squared_gradient_norm(scored: Scored) -> Tensor:
    """E |grad_x D(x)|^2, the square summed over all axes but the batch's."""
    (gradient,) = torch.autograd.grad(scored.logits.sum(), scored.images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


class R1(Regularizer):
    """1/2 E |grad_x D(x)|^2 on real pictures; the weight is gamma (Mescheder et al. 2018, equation 9)."""

    def penalty(self, critic: Critic, real: Scored, fake: Scored) -> Tensor:
        """Half the mean squared gradient norm at the real pictures."""
        return 0.5 * squared_gradient_norm(real)
