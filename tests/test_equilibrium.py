"""Losses where D cannot tell real from fake: closed forms, from the papers."""

import math

import pytest

from zerosum.gan.equilibrium import equilibrium
from zerosum.gan.fgan import DIVERGENCES, FGAN
from zerosum.gan.losses import (
    Hinge,
    LeastSquares,
    MaximumLikelihood,
    Minimax,
    NonSaturating,
    Relativistic,
    RelativisticAverage,
    Wasserstein,
)

LOG2 = math.log(2)


@pytest.mark.parametrize(
    ("loss", "discriminator", "generator"),
    [
        (NonSaturating(), LOG2, LOG2 / 2),
        (Minimax(), LOG2, -LOG2),
        (MaximumLikelihood(), LOG2, -0.5),
        (LeastSquares(), 1 / 4, 1 / 8),
        (LeastSquares(-1, 1, 0), 1.0, 0.0),
        (Hinge(), 2.0, None),  # every logit in [-1, 1] is optimal, and J_G differs in them
        (Wasserstein(), 0.0, None),
        (Relativistic(), LOG2, LOG2),
        (RelativisticAverage(), 2 * LOG2, 2 * LOG2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_is_the_closed_form(loss, discriminator, generator):
    found = equilibrium(loss)
    assert found["loss_discriminator"] == pytest.approx(discriminator, abs=1e-7)
    assert found.get("loss_generator") == (None if generator is None else pytest.approx(generator, abs=1e-6))


@pytest.mark.parametrize("smooth", [0.1, 0.3])
def test_smoothing_raises_it_to_the_entropy_of_the_targets(smooth):
    """J_D is the mean cross-entropy against targets of mean (1 - smooth) / 2, least where D says that mean."""
    p = (1 - smooth) / 2
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    found = equilibrium(NonSaturating(smooth))
    assert found["loss_discriminator"] == pytest.approx(entropy, abs=1e-7)
    assert found["loss_generator"] == pytest.approx(-0.5 * math.log(p), abs=1e-6)


@pytest.mark.parametrize("name", [*DIVERGENCES, "alpha"])
def test_an_f_gan_is_at_minus_the_divergence_of_equals(name):
    """D_f(p, p) = f(1), which is 0 but for `gan`, whose f(u) = u log u - (u + 1) log(u + 1)."""
    expected = 2 * LOG2 if name == "gan" else 0.0
    assert equilibrium(FGAN(name))["loss_discriminator"] == pytest.approx(expected, abs=1e-7)


class Broken(Hinge):
    def discriminator(self, real, fake):
        return real.mean() * math.nan


def test_a_loss_that_is_never_finite_has_none():
    assert equilibrium(Broken()) == {}
