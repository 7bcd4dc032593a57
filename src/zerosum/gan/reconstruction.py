"""Distances of fakes to the real images beside them, for conditions that have a right answer."""

from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from zerosum.gan.regularizers import Critic, Regularizer, ScoredBatch


class L1(Regularizer):
    """E |x - G(z, c)| over pixels (Isola et al. 2017, equation 3): the best G without an adversary is the median."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The mean absolute difference."""
        return l1_loss(fake.images, real.images)


class L2(Regularizer):
    """E (x - G(z, c))^2 over pixels: without an adversary the best G is the mean answer (Mathieu et al. 2016)."""

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The mean squared difference."""
        return mse_loss(fake.images, real.images)
