"""Quality of samples from a known mixture (Srivastava et al. 2017, VEEGAN, section 4.1)."""

import math
from typing import Any

import torch
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.errors import UserError
from zerosum.sampling import Model, images


class ModeCoverage:
    """Modes covered, share of samples within 3 sigma of a mode, KL of the mode histogram to uniform."""

    def __init__(self, n_fake: int = 10_000, seed: int = 0) -> None:
        self.n_fake = n_fake
        self.seed = seed

    def prepare(self, dataset: GaussianMixture, device: torch.device | None = None) -> None:
        """Keeps the mixture."""
        if not isinstance(dataset, GaussianMixture):
            raise UserError(f"protocol=modes needs a mixture of known modes, not {dataset.name}: use protocol=frechet")
        self.mixture = dataset

    def measure(self, model: Model) -> dict[str, float]:
        """Figures of `n_fake` samples."""
        seeds = range(self.seed * self.n_fake, (self.seed + 1) * self.n_fake)
        samples = torch.cat([batch.cpu() for batch in images(model, seeds, batch_size=self.n_fake)])
        return mode_figures(samples, self.mixture)

    def score(self, values: dict[str, float]) -> tuple[float, ...]:
        """More modes first, then more samples within 3 sigma."""
        return (values["modes"], values["high_quality"])

    def floor(self) -> dict[str, float]:
        """As many points drawn from the mixture itself."""
        points, _ = self.mixture.draw(self.n_fake, torch.Generator().manual_seed(self.seed))
        return mode_figures(points, self.mixture)

    def card(self) -> dict[str, Any]:
        """What the figures are."""
        return {
            "protocol": "modes",
            "dataset": self.mixture.name,
            "n_fake": self.n_fake,
            "modes_in_all": len(self.mixture.means),
            "sigma": self.mixture.sigma,
            "sample_seed": self.seed,
        }


def mode_figures(samples: Tensor, mixture: GaussianMixture) -> dict[str, float]:
    """Samples (N, 2) to `modes` (with a sample within 3 sigma), `high_quality` in [0, 1], `mode_kl` in nats.

    The histogram assigns every sample to its nearest mode.
    """
    distances, nearest = torch.cdist(samples, mixture.means).min(1)
    good = distances <= 3 * mixture.sigma
    share = torch.bincount(nearest, minlength=len(mixture.means)) / len(samples)
    return {
        "modes": float(nearest[good].unique().numel()),
        "high_quality": float(good.float().mean()),
        "mode_kl": float(torch.xlogy(share, share).sum() + math.log(len(mixture.means))),
    }
