"""The likelihood of held-out images: a known distribution, and models that have none."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import Normal

from zerosum.data.binarized import BinarizedDigits
from zerosum.errors import UnmeasurableError, UserError
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.likelihood import Likelihood, PointLikelihood


class Independent:
    """Black and white pixels, each white with the probability 3/4."""

    likelihood = "exact"

    def log_prob(self, images):
        return torch.where(images > 0, 0.75, 0.25).log().flatten(1).sum(1)

    def sample(self, seeds, condition=None):
        return torch.ones(len(seeds), 1, 8, 8)


class Noisy(Independent):
    """An estimate that draws."""

    def log_prob(self, images):
        return super().log_prob(images) + torch.randn(len(images))


PROTOCOL = SimpleNamespace(dataset=BinarizedDigits(), split="test", batch_size=100, device=torch.device("cpu"))


def test_it_is_that_of_the_held_out_images():
    white = (PROTOCOL.dataset.split("test").images > 0).mean()
    expected = -64 * (white * math.log(0.75) + (1 - white) * math.log(0.25))
    values = Likelihood().measure_model(PROTOCOL, Independent())
    assert values["nll"] == pytest.approx(expected, rel=1e-6)
    assert values["bits_per_dim"] == pytest.approx(expected / 64 / math.log(2), rel=1e-6)


def test_some_images_are_the_first_ones_and_the_card_says_so():
    white = (PROTOCOL.dataset.split("test").images[:130] > 0).mean()
    few = Likelihood(count=130)
    expected = -64 * (white * math.log(0.75) + (1 - white) * math.log(0.25))
    assert few.measure_model(PROTOCOL, Independent())["nll"] == pytest.approx(expected, rel=1e-6)
    assert few.describe()["likelihood_images"] == 130


def test_an_estimate_is_the_same_each_time_and_leaves_the_generators_alone():
    before = torch.get_rng_state()
    first, again = (Likelihood().measure_model(PROTOCOL, Noisy()) for _ in range(2))
    other = Likelihood(seed=1).measure_model(PROTOCOL, Noisy())
    assert first == again != other and torch.equal(before, torch.get_rng_state())


def test_a_gan_has_none(tiny):
    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate

    built = build(validate(tiny("metrics=likelihood", "~callbacks.report")))
    with pytest.raises(UserError, match="GAN has no likelihood: choose a model that has one"):
        built.trainer.fit(built.module, datamodule=built.data)
    both = ImageProtocol("both", SimpleNamespace(), {"likelihood": Likelihood()}, 2)
    assert both.better == {"nll": "lower", "bits_per_dim": "lower"}


def test_it_is_of_the_test_split_alone():
    train = SimpleNamespace(**{**vars(PROTOCOL), "split": "train"})
    with pytest.raises(UnmeasurableError, match=r"set protocol\.split=test"):
        Likelihood().measure_model(train, Independent())
    with pytest.raises(UserError, match=r"metrics\.likelihood\.count=0"):
        Likelihood(count=0)


class Shifted:
    """A Gaussian of deviation 1 whose mean is off by 2."""

    likelihood = "exact"

    def log_prob(self, points):
        return Normal(2.0, 1.0).log_prob(points).sum(1)


def test_points_have_the_entropy_and_the_divergence_of_the_equations():
    """KL(N(0, 1), N(2, 1)) = 2 and the entropy 1/2 log(2 pi e), within four standard errors of 10,000 points."""
    from zerosum.data.mixtures import Gaussian1D

    protocol = SimpleNamespace(dataset=Gaussian1D(mean=0.0, sigma=1.0), n_fake=10_000, seed=0)
    values = PointLikelihood().measure_model(protocol, Shifted())
    assert values["kl"] == pytest.approx(2, abs=0.08)
    assert values["nll"] == pytest.approx(2 + 0.5 * math.log(2 * math.pi * math.e), abs=0.1)


def test_images_and_points_have_metrics_of_their_own():
    points = SimpleNamespace(dataset=Shifted(), split="test")
    with pytest.raises(UnmeasurableError, match="take metrics=points_likelihood"):
        Likelihood().measure_model(points, Independent())
    with pytest.raises(UnmeasurableError, match="take metrics=likelihood"):
        PointLikelihood().measure_model(PROTOCOL, Independent())
