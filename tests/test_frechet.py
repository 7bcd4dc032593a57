"""The Frechet distance against closed forms, high precision and torchmetrics."""

import math

import mpmath
import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from zerosum.evaluation.distribution_metrics import intercept_of
from zerosum.evaluation.frechet import (
    FrechetDistance,
    Gaussian,
    fitted,
    frechet_distance,
    root_by_eigenvalues,
    trace_of_root,
)


def draw(count, size, seed, decay=0.0):
    """Correlated features whose standard deviations fall over `decay` decades."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.logspace(0, -decay, size, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return torch.randn(count, size, generator=generator, dtype=torch.float64) * scale @ turn + 0.5


def exact_trace_of_root(one, other):
    """Tr sqrt(C_1 C_2) in 60 digits: the square roots of the eigenvalues of the product."""
    with mpmath.workdps(60):
        covariances = []
        for features in (one, other):
            rows = mpmath.matrix(features.tolist())
            count, size = rows.rows, rows.cols
            means = [sum(rows[i, j] for i in range(count)) / count for j in range(size)]
            centred = mpmath.matrix(count, size)
            for i in range(count):
                for j in range(size):
                    centred[i, j] = rows[i, j] - means[j]
            covariances.append(centred.T * centred / (count - 1))
        eigenvalues = mpmath.eig(covariances[0] * covariances[1], left=False, right=False)
        return float(sum(mpmath.sqrt(abs(value)) for value in eigenvalues if abs(value) > mpmath.mpf(10) ** -40))


@pytest.mark.parametrize("counts", [(30, 40), (5, 40), (40, 5), (4, 6), (8, 8), (9, 30)])
@pytest.mark.parametrize("decay", [0, 3])
def test_the_root_is_that_of_sixty_digits_at_any_rank(counts, decay):
    one, other = draw(counts[0], 8, 1, decay), draw(counts[1], 8, 2, decay)
    found = trace_of_root(fitted(one), fitted(other))
    assert float(found) == pytest.approx(exact_trace_of_root(one, other), rel=1e-12)


@pytest.mark.parametrize("decay", [0, 2, 4])
def test_the_root_of_two_covariances_with_a_known_transport_map(decay):
    """If C_2 = T C_1 T with T symmetric and positive, then T is the transport map and Tr sqrt(C_1 C_2) = Tr(C_1 T)."""
    size = 300
    one, spread = (fitted(draw(2 * size, size, seed, decay)).covariance for seed in (1, 2))
    transport = spread / spread.trace() + torch.eye(size, dtype=torch.float64)
    gaussians = [Gaussian(torch.zeros(size), covariance, None) for covariance in (one, transport @ one @ transport)]
    expected = (one * transport).sum()
    assert float(trace_of_root(*gaussians)) == pytest.approx(float(expected), rel=1e-12)


def test_singular_covariances_without_their_rows_are_exact_too():
    one, other = draw(20, 40, 1), draw(100, 40, 2)
    sums = [Gaussian(fit.mean, fit.covariance, None) for fit in (fitted(one), fitted(other))]
    assert float(trace_of_root(*sums)) == pytest.approx(float(trace_of_root(fitted(one), fitted(other))), rel=1e-9)


def test_eigenvalues_are_not_trusted_where_they_would_cost_digits():
    covariances = [fitted(draw(200, 50, seed, decay=6)).covariance for seed in (1, 2)]
    assert root_by_eigenvalues(*covariances) is None
    assert root_by_eigenvalues(*(fitted(draw(200, 50, seed)).covariance for seed in (1, 2))) is not None


def test_distance_of_one_dimensional_gaussians():
    """(mu_1 - mu_2)^2 + (sigma_1 - sigma_2)^2"""
    one, other = (
        Gaussian(torch.tensor([mean]), torch.tensor([[sigma**2.0]]), None) for mean, sigma in ((1, 2), (4, 7))
    )
    assert float(frechet_distance(one, other)) == pytest.approx(9 + 25)


def metric_of(real, fake, batch):
    metric = FrechetDistance(real.shape[1])
    for side, is_real in ((real, True), (fake, False)):
        for rows in side.split(batch):
            metric.update(rows, real=is_real)
    return metric


@pytest.mark.parametrize("counts", [(90, 120), (90, 12), (12, 20)])
def test_the_metric_is_torchmetrics_at_any_batch_size(counts):
    real, fake = draw(counts[0], 16, 1), draw(counts[1], 16, 2)
    identity = torch.nn.Identity()
    identity.num_features = 16
    reference = FrechetInceptionDistance(identity)
    reference.update(real, real=True)
    reference.update(fake, real=False)
    values = [float(metric_of(real, fake, batch).compute()) for batch in (7, 50, 1000)]
    assert values[0] == pytest.approx(float(reference.compute()), rel=1e-6)
    assert values == pytest.approx([values[0]] * 3, rel=1e-12)
    expected = frechet_distance(fitted(real), fitted(fake))
    assert values[0] == pytest.approx(float(expected), rel=1e-12)


def test_the_metric_forgets_samples_and_keeps_reals_on_reset():
    real, fake = draw(40, 8, 1), draw(50, 8, 2)
    metric = metric_of(real, fake, 10)
    value = float(metric.compute())
    metric.reset()
    metric.update(fake, real=False)
    assert float(metric.compute()) == pytest.approx(value, rel=1e-14)


def test_equal_sets_are_at_distance_zero_even_when_there_are_few():
    few = draw(10, 64, 1)
    assert abs(float(frechet_distance(fitted(few), fitted(few)))) < 1e-12 * float(fitted(few).covariance.trace())


def test_the_intercept_is_numpys_and_so_is_its_error():
    generator = np.random.default_rng(0)
    x = np.linspace(0.1, 1, 15)
    y = 3 + 2 * x + 0.1 * generator.normal(size=15)
    (_, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    found = intercept_of(torch.from_numpy(x), torch.from_numpy(y))
    assert found == pytest.approx((intercept, math.sqrt(covariance[1, 1])))
