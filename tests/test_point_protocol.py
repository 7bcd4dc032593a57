"""Protocol of points against closed forms."""

import math

import pytest
import torch

from zerosum.data.mixtures import Ring
from zerosum.data.synthetic import Synthetic
from zerosum.errors import DivergedError, UnmeasurableError, UserError
from zerosum.evaluation.mode_coverage import ModeCoverage
from zerosum.evaluation.point_protocol import PointProtocol


class OneMode:
    """A model whose samples lie on the ring's first mode, and which notes its seeds."""

    def sample(self, seeds, condition=None):
        self.seeds = list(seeds)
        return torch.tensor([[2.0, 0.0]]).expand(len(seeds), 2)


@pytest.fixture
def protocol():
    made = PointProtocol("points", {"mode_coverage": ModeCoverage()}, n_fake=500, seed=3)
    made.prepare(Ring())
    return made


def test_samples_of_a_single_mode(protocol):
    model = OneMode()
    values = protocol.measure(model)
    assert values == pytest.approx({"modes": 1, "high_quality": 1, "mode_kl": math.log(8)})
    assert model.seeds == list(range(1500, 2000))


def test_the_floor_covers_every_mode_with_the_share_of_three_sigma():
    protocol = PointProtocol("points", {"mode_coverage": ModeCoverage()}, n_fake=20_000)
    protocol.prepare(Ring())
    floor = protocol.floor()
    assert floor["modes"] == 8
    assert floor["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)  # Rayleigh within 3 sigma
    assert floor["mode_kl"] < 0.001


def test_more_modes_are_better_then_more_samples_near_a_mode(protocol):
    values = [{"modes": modes, "high_quality": near, "mode_kl": 0.1} for modes, near in ((7, 0.9), (8, 0.5), (8, 0.6))]
    scores = [protocol.score(one) for one in values]
    assert scores == sorted(scores) and len(set(scores)) == 3


def test_the_card_names_the_distribution_and_the_samples(protocol):
    expected = {"protocol": "points", "dataset": "Ring", "n_fake": 500, "sample_seed": 3, "sigma": 0.02}
    assert expected.items() <= protocol.card().items()
    assert protocol.describe_selection() == "chosen by mode_coverage on these samples, on which it is reported too"


def test_a_metric_that_cannot_be_measured_is_left_out_with_its_reason(protocol):
    class Impossible(ModeCoverage):
        def __call__(self, dataset, samples):
            raise UnmeasurableError("no reason")

    assert protocol.notes().keys() == {"better"}
    protocol.metrics["impossible"] = Impossible()
    assert "modes" in protocol.measure(OneMode())
    assert protocol.notes()["left_out"] == {"impossible": "no reason"}
    del protocol.metrics["mode_coverage"]
    with pytest.raises(UserError, match="nothing can be measured: no reason"):
        protocol.measure(OneMode())
    assert protocol.floor() is None


def test_samples_that_are_not_finite_are_an_error(protocol):
    """Their distances are not below 3 sigma, so they would count as samples of no mode."""

    class Diverged(OneMode):
        def sample(self, seeds, condition=None):
            return super().sample(seeds) * math.nan

    with pytest.raises(DivergedError, match="NaN"):
        protocol.measure(Diverged())


def test_images_one_sample_and_no_metric_are_refused():
    with pytest.raises(UserError, match="protocol=fid10k_test"):
        PointProtocol("points", {"mode_coverage": ModeCoverage()}).prepare(Synthetic())
    with pytest.raises(UserError, match="n_fake=1: choose 2 or more"):
        PointProtocol("points", {"mode_coverage": ModeCoverage()}, n_fake=1)
    with pytest.raises(UserError, match="name at least one"):
        PointProtocol("points", {})
