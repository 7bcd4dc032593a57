"""How many modes of the data the samples cover: those of a known mixture, or the classes of labelled images."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from zerosum.data.mixtures import GaussianMixture
from zerosum.errors import UnmeasurableError
from zerosum.evaluation.protocol import Direction
from zerosum.evaluation.reference import FeatureSet, Reference, predicted_classes


class Modes:
    """Number of classes that the features predict for at least one sample, and the KL of their histogram to uniform.

    Metz et al. 2017, unrolled GANs, section 3.3.1, for the 1,000 modes of StackedMNIST. The number forgives dropped
    classes: a single misclassified sample counts as a mode, so read `mode_kl`, which shows them. `mode_kl_floor` is the
    expected KL of as many samples of the uniform distribution, (K - 1) / (2 N) to first order.
    """

    better: ClassVar[dict[str, Direction]] = {"modes": "higher", "mode_kl": "lower"}
    compares: ClassVar[str] = "images"
    has_floor: ClassVar[bool] = True

    def __call__(self, reference: Reference, fake: FeatureSet) -> dict[str, float]:
        """{"modes": number, "mode_kl": nats, "mode_kl_floor": nats}"""
        classes = predicted_classes(reference, fake, "modes")
        number = len(reference.dataset.classes or ())
        counts = torch.bincount(classes, minlength=number)
        floor = (number - 1) / (2 * len(classes))
        return {"modes": float((counts > 0).sum()), "mode_kl": kl_to_uniform(counts), "mode_kl_floor": floor}

    def describe(self) -> dict[str, Any]:
        return {}


class ModeCoverage:
    """Covered modes of a known mixture, share of samples near a mode, KL of the histogram to uniform.

    Srivastava et al. 2017, VEEGAN, section 4.1. A sample within 3 sigma covers a mode; the histogram assigns every
    sample to its nearest mode.
    """

    better: ClassVar[dict[str, Direction]] = {"modes": "higher", "high_quality": "higher", "mode_kl": "lower"}
    compares: ClassVar[str] = "points"
    has_floor: ClassVar[bool] = True

    def __call__(self, dataset: GaussianMixture, samples: Tensor) -> dict[str, float]:
        """Samples (N, 1 or 2) to {"modes": number, "high_quality": share within 3 sigma, "mode_kl": nats}."""
        if not isinstance(dataset, GaussianMixture):
            raise UnmeasurableError("mode_coverage needs a mixture of known modes: use metrics=points_wasserstein")
        distances, nearest = torch.cdist(samples, dataset.means).min(1)
        good = distances <= 3 * dataset.sigma
        return {
            "modes": float(nearest[good].unique().numel()),
            "high_quality": float(good.float().mean()),
            "mode_kl": kl_to_uniform(torch.bincount(nearest, minlength=len(dataset.means))),
        }

    def describe(self) -> dict[str, Any]:
        return {}


def kl_to_uniform(counts: Tensor) -> float:
    """KL(counts / N, uniform) of a histogram (K,), in nats."""
    share = counts.double() / counts.sum()
    return float(torch.xlogy(share, share).sum() + math.log(len(share)))
