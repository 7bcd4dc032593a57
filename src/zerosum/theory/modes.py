"""Runs on data of known modes, watched: modes found, samples near a mode, and V(G, D), over images and seconds."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from zerosum.data.mixtures import GaussianMixture
from zerosum.data.points import KnownDensity
from zerosum.evaluation.mode_coverage import ModeCoverage
from zerosum.evaluation.sample_diagnostics import modes_of
from zerosum.gan.gan import GAN
from zerosum.theory.trial import Trial, density_of, fakes_of, play

SAMPLES = 2_000
BATCH = 100
"""Samples that D sees together, a multiple of every pack"""
FEWEST = 0.25
"""The share of its due that a mode must get to count as found; points spread evenly over a disc find none of a ring"""


class Moment(NamedTuple):
    """A game after so many images."""

    images: int
    seconds: float
    """Of training, without this measurement"""
    modes: int
    """That have at least FEWEST of their due within 3 sigma"""
    near: float
    """Share of the samples within 3 sigma of a mode"""
    favourite: int
    """The mode that most samples are nearest to"""
    value: float
    """V(G, D) = E log D(x) + E log(1 - D(G(z))), by SAMPLES of each"""
    fakes: Tensor
    """(SAMPLES, 2), of the generator of the last step"""


def found_modes(data: KnownDensity, fakes: Tensor) -> int:
    """Modes with at least FEWEST of their due, an equal share of the samples (N, d), within 3 sigma."""
    assert isinstance(data, GaussianMixture), "modes are counted of mixtures"
    counts = torch.bincount(modes_of(data, fakes), minlength=len(data.means))
    return int((counts >= FEWEST * len(fakes) / len(data.means)).sum())


def favourite_mode(data: GaussianMixture, fakes: Tensor) -> int:
    """The index of the mode that most of the samples (N, d) are nearest to."""
    return int(torch.cdist(fakes, data.means).argmin(1).bincount().argmax())


def value(gan: GAN, real: Tensor, fake: Tensor) -> float:
    """V(G, D), of samples."""
    return float(logsigmoid(score(gan, real)).mean() + logsigmoid(-score(gan, fake)).mean())


def score(gan: GAN, points: Tensor) -> Tensor:
    """D's logits, of packs if it sees packs; in batches, as minibatch discrimination compares all pairs of a batch."""
    return torch.cat([gan.score(part, None).logits for part in points.split(BATCH)])


def watch(trial: Trial, moments: int) -> list[Moment]:
    """Play the game and look at it evenly over its budget."""
    data = density_of(trial)
    assert isinstance(data, GaussianMixture), "modes are counted of mixtures"

    def observe(gan: GAN) -> Moment:
        fakes = fakes_of(gan.generator, SAMPLES)
        real, _ = data.sample(SAMPLES, torch.Generator().manual_seed(0))
        near = ModeCoverage()(data, fakes)["high_quality"]
        modes, now = found_modes(data, fakes), value(gan, real, fakes)
        return Moment(gan.images_seen, gan.seconds_trained, modes, near, favourite_mode(data, fakes), now, fakes)

    return play(trial, moments, observe)
