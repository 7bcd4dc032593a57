"""Feature matching: G's cost is the distance of its samples' mean features from those of real images."""

from typing import ClassVar

import torch
from torch import Tensor

from zerosum.distributed import mean_over_processes
from zerosum.errors import UserError
from zerosum.gan.regularizers import Critic, Regularizer, ScoredBatch


class FeatureMatching(Regularizer):
    """|E f(x) - E f(G(z))|^2 of the features f before D's last layer (Salimans et al. 2016, section 3.1).

    The means are over the global batch, so the gradient is that of 2 gap . (E f(x) - E f(G(z))) with the gap fixed,
    which is a sum over images.
    """

    observes_batch: ClassVar[bool] = True
    gap: Tensor

    @torch.no_grad()
    def observe(self, real: ScoredBatch, fake: ScoredBatch) -> None:
        """E f(x) - E f(G(z)), over all processes."""
        self.gap = mean_over_processes(mean_gap(real, fake))

    def penalty(self, critic: Critic, real: ScoredBatch, fake: ScoredBatch) -> Tensor:
        """The squared gap of the global batch, with this part's share of its gradient."""
        moved = (self.gap * mean_gap(real, fake)).sum()
        return self.gap.square().sum() + 2 * (moved - moved.detach())


def mean_gap(real: ScoredBatch, fake: ScoredBatch) -> Tensor:
    """(num_features,): E f(x) - E f(G(z)) over this batch."""
    if real.scores.features is None or fake.scores.features is None:
        raise UserError(
            "generator_regularizer=feature_matching: this D returns no features: let it return Scores(logits,"
            " features=...), as docs/extending.md shows"
        )
    return real.scores.features.flatten(1).mean(0) - fake.scores.features.flatten(1).mean(0)
