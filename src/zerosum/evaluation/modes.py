"""How many of the modes that the data has samples cover: of a known mixture, or the classes of labelled pictures."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.errors import UserError
from zerosum.evaluation import UnmeasurableError
from zerosum.evaluation.reference import FeatureSet, Reference
from zerosum.sampling import Model, images


class Modes:
    """Classes with a sample, of those the features tell apart, and the KL of their histogram to uniform.

    Metz et al. 2017, unrolled GANs, section 3.3.1, for the 1,000 modes of StackedMNIST. `mode_kl_floor` is what as many
    samples of the uniform distribution have in expectation, (K - 1) / (2 N) to first order.
    """

    higher_is_better: ClassVar[bool] = True
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"modes": number, "mode_kl": nats, "mode_kl_floor": nats}"""
        if fake.logits is None or reference.dataset.classes is None:
            raise UnmeasurableError("modes needs labelled pictures and features that classify")
        known = len(reference.dataset.classes)
        if fake.logits.shape[1] != known:
            raise UnmeasurableError(
                f"modes needs features that tell the {known} classes of {reference.dataset.name} apart"
            )
        counts = torch.bincount(fake.logits.argmax(1), minlength=known)
        floor = (known - 1) / (2 * len(fake.logits))
        return {"modes": float((counts > 0).sum()), "mode_kl": kl_to_uniform(counts), "mode_kl_floor": floor}

    def describe(self) -> dict[str, Any]:
        """Nothing: the accuracy of the features is theirs to say."""
        return {}


def kl_to_uniform(counts: Tensor) -> float:
    """KL(counts / N, uniform) of a histogram (K,), in nats."""
    share = counts.double() / counts.sum()
    return float(torch.xlogy(share, share).sum() + math.log(len(share)))


class ModeCoverage:
    """Of a known mixture: modes covered, share of samples within 3 sigma of a mode, KL of the histogram to uniform.

    Srivastava et al. 2017, VEEGAN, section 4.1.
    """

    def __init__(self, n_fake: int = 10_000, seed: int = 0) -> None:
        self.n_fake = n_fake
        self.seed = seed

    def prepare(self, dataset: GaussianMixture, device: torch.device | None = None) -> None:
        """Keeps the mixture."""
        if not isinstance(dataset, GaussianMixture):
            raise UserError(
                f"protocol=modes needs a mixture of known modes, not {dataset.name}: use protocol=fid10k_test"
            )
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
    counts = torch.bincount(nearest, minlength=len(mixture.means))
    return {
        "modes": float(nearest[good].unique().numel()),
        "high_quality": float(good.float().mean()),
        "mode_kl": kl_to_uniform(counts),
    }
