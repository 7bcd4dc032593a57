"""How many modes of the data the samples cover: those of a known mixture, or the classes of labelled images."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.evaluation.protocol import Direction, UnmeasurableError
from zerosum.evaluation.reference import FeatureSet, Reference


class Modes:
    """Classes with a sample, of those the features tell apart, and the KL of their histogram to uniform.

    Metz et al. 2017, unrolled GANs, section 3.3.1, for the 1,000 modes of StackedMNIST. `mode_kl_floor` is what as many
    samples of the uniform distribution have in expectation, (K - 1) / (2 N) to first order.
    """

    better: ClassVar[dict[str, Direction]] = {"modes": "higher", "mode_kl": "lower"}
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"modes": number, "mode_kl": nats, "mode_kl_floor": nats}"""
        if fake.logits is None or reference.dataset.classes is None:
            raise UnmeasurableError("modes needs labelled images and features that classify")
        known = len(reference.dataset.classes)
        if fake.logits.shape[1] != known:
            raise UnmeasurableError(
                f"modes needs features that tell the {known} classes of {reference.dataset.name} apart"
            )
        counts = torch.bincount(fake.logits.argmax(1), minlength=known)
        floor = (known - 1) / (2 * len(fake.logits))
        return {"modes": float((counts > 0).sum()), "mode_kl": kl_to_uniform(counts), "mode_kl_floor": floor}

    def describe(self) -> dict[str, Any]:
        """No settings; the accuracy of the features is on their own card."""
        return {}


class ModeCoverage:
    """Modes of a known mixture that are covered, share of samples near a mode, KL of the histogram to uniform.

    Srivastava et al. 2017, VEEGAN, section 4.1. A mode is covered by a sample within 3 sigma; the histogram assigns
    every sample to its nearest mode.
    """

    better: ClassVar[dict[str, Direction]] = {"modes": "higher", "high_quality": "higher", "mode_kl": "lower"}
    has_floor: ClassVar[bool] = True

    def __call__(self, dataset: GaussianMixture, samples: Tensor) -> dict[str, float]:
        """Samples (N, 2) to {"modes": number, "high_quality": share within 3 sigma, "mode_kl": nats}."""
        if not isinstance(dataset, GaussianMixture):
            raise UnmeasurableError("mode_coverage needs a mixture of known modes")
        distances, nearest = torch.cdist(samples, dataset.means).min(1)
        good = distances <= 3 * dataset.sigma
        return {
            "modes": float(nearest[good].unique().numel()),
            "high_quality": float(good.float().mean()),
            "mode_kl": kl_to_uniform(torch.bincount(nearest, minlength=len(dataset.means))),
        }

    def describe(self) -> dict[str, Any]:
        """No settings."""
        return {}


def kl_to_uniform(counts: Tensor) -> float:
    """KL(counts / N, uniform) of a histogram (K,), in nats."""
    share = counts.double() / counts.sum()
    return float(torch.xlogy(share, share).sum() + math.log(len(share)))
