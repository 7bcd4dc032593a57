"""Adversarial losses on logits, each with its equation.

D(x) = sigmoid(logit). All losses keep the factor 1/2 of Goodfellow's tutorial (2016, section 3.2), so
that minimax is zero-sum; it halves the learning rate of plain SGD and nothing else under Adam.
Written with softplus(t) = log(1 + exp(t)): -log D = softplus(-logit), -log(1 - D) = softplus(logit).
"""

from typing import ClassVar, Protocol

from torch import Tensor
from torch.nn.functional import softplus


class AdversarialLoss(Protocol):
    """Costs of the two players, from logits of shape (B,) to a scalar."""

    paired: ClassVar[bool]
    """True where the generator's cost needs the real logits too."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D, which the discriminator descends."""
        ...

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G, which the generator descends."""
        ...


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """J_D = -1/2 E log D(x) - 1/2 E log(1 - D(G(z))), Goodfellow 2016, equation 8."""
    return 0.5 * softplus(-real).mean() + 0.5 * softplus(fake).mean()


class Minimax:
    """Zero-sum game, J_G = -J_D: saturates where D is sure of the fakes (Goodfellow 2016, equation 10)."""

    paired: ClassVar[bool] = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = -1/2 E log D(x) - 1/2 E log(1 - D(G(z)))."""
        return cross_entropy(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -J_D; without `real`, less the term 1/2 E log D(x), whose gradient in G is zero."""
        zero_sum = -0.5 * softplus(fake).mean()
        return zero_sum if real is None else zero_sum - 0.5 * softplus(-real).mean()


class NonSaturating:
    """G maximizes the probability that D errs, so its gradient lives when D wins (Goodfellow 2016, equation 13)."""

    paired: ClassVar[bool] = False

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """J_D = -1/2 E log D(x) - 1/2 E log(1 - D(G(z)))."""
        return cross_entropy(real, fake)

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """J_G = -1/2 E log D(G(z))."""
        return 0.5 * softplus(-fake).mean()
