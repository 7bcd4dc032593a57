"""Gaussian mixtures: exact densities, and points that are functions of (seed, index)."""

import math

import pytest
import torch

from zerosum.data.mixtures import Grid, Ring
from zerosum.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize("mixture", [Ring(sigma=0.3), Grid(sigma=0.3)])
def test_log_prob_is_a_density_and_that_of_the_samples(mixture):
    ticks = torch.linspace(-8, 8, 801, dtype=torch.float64)
    mesh = torch.cartesian_prod(ticks, ticks)
    total = mixture.log_prob(mesh).exp().sum() * (ticks[1] - ticks[0]) ** 2
    assert float(total) == pytest.approx(1, abs=1e-6)
    points, _ = mixture.sample(50_000, torch.Generator().manual_seed(0))
    inside = (points.norm(dim=1) < 1.5).double().mean()
    expected = (mixture.log_prob(mesh).exp() * (mesh.norm(dim=1) < 1.5)).sum() * (ticks[1] - ticks[0]) ** 2
    assert float(inside) == pytest.approx(float(expected), abs=0.01)


def test_ring_and_grid_are_those_of_the_papers():
    ring, grid = Ring(), Grid()
    assert ring.means.shape == (8, 2) and torch.allclose(ring.means.norm(dim=1), torch.full((8,), 2.0))
    assert grid.means.shape == (25, 2) and grid.means.abs().max() == 4
    at_a_mode = ring.log_prob(ring.means[:1])
    assert float(at_a_mode) == pytest.approx(-math.log(8) - math.log(2 * math.pi * 0.02**2), abs=1e-5)


def test_points_are_a_function_of_seed_and_index():
    one, other = Ring().stream(3, CPU), Ring().stream(3, CPU)
    one.batch(0, 8, slice(0, 8))
    assert torch.equal(one.batch(5, 8, slice(0, 8)).images, other.batch(5, 8, slice(0, 8)).images)
    assert torch.equal(one.batch(5, 8, slice(4, 8)).images, other.batch(5, 8, slice(0, 8)).images[4:])


@pytest.mark.parametrize("sigma", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("mixture", [Ring, Grid])
def test_a_standard_deviation_that_is_not_positive_is_refused(mixture, sigma):
    with pytest.raises(UserError, match=rf"dataset\.sigma={sigma} is no standard deviation: take a number above 0"):
        mixture(sigma=sigma)


@pytest.mark.parametrize(("mixture", "options"), [(Ring, {"modes": 0}), (Grid, {"side": 0}), (Grid, {"side": 101})])
def test_a_mixture_has_one_to_ten_thousand_modes(mixture, options):
    (option,) = options
    with pytest.raises(UserError, match=rf"dataset\.{option} makes .* modes: take 1 to 10,000"):
        mixture(**options)
