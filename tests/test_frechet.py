"""The Frechet distance against closed forms, high precision and torchmetrics."""

import mpmath
import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from zerosum.evaluation import frechet
from zerosum.evaluation.frechet import (
    Gaussian,
    fit_gaussian,
    frechet_distance,
    root_by_eigenvalues,
    standard_error,
    trace_of_root,
    transport_map,
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
    found = trace_of_root(fit_gaussian(one), fit_gaussian(other))
    assert float(found) == pytest.approx(exact_trace_of_root(one, other), rel=1e-12)


@pytest.mark.parametrize("decay", [0, 2, 4])
def test_the_root_of_two_covariances_with_a_known_transport_map(decay):
    """If C_2 = T C_1 T with T symmetric and positive, then T is the transport map and Tr sqrt(C_1 C_2) = Tr(C_1 T)."""
    size = 300
    one, spread = (fit_gaussian(draw(2 * size, size, seed, decay)).covariance for seed in (1, 2))
    transport = spread / spread.trace() + torch.eye(size, dtype=torch.float64)
    gaussians = [Gaussian(torch.zeros(size), covariance, None) for covariance in (one, transport @ one @ transport)]
    expected = (one * transport).sum()
    assert float(trace_of_root(*gaussians)) == pytest.approx(float(expected), rel=1e-12)


def test_singular_covariances_without_their_rows_are_exact_too():
    one, other = draw(20, 40, 1), draw(100, 40, 2)
    sums = [Gaussian(fit.mean, fit.covariance, None) for fit in (fit_gaussian(one), fit_gaussian(other))]
    assert float(trace_of_root(*sums)) == pytest.approx(
        float(trace_of_root(fit_gaussian(one), fit_gaussian(other))), rel=1e-9
    )


def test_eigenvalues_are_not_trusted_where_they_would_cost_digits():
    covariances = [fit_gaussian(draw(200, 50, seed, decay=6)).covariance for seed in (1, 2)]
    assert root_by_eigenvalues(*covariances) is None
    assert root_by_eigenvalues(*(fit_gaussian(draw(200, 50, seed)).covariance for seed in (1, 2))) is not None


def test_distance_of_one_dimensional_gaussians():
    """(mu_1 - mu_2)^2 + (sigma_1 - sigma_2)^2"""
    one, other = (
        Gaussian(torch.tensor([mean]), torch.tensor([[sigma**2.0]]), None) for mean, sigma in ((1, 2), (4, 7))
    )
    assert float(frechet_distance(one, other)) == pytest.approx(9 + 25)


@pytest.mark.parametrize("counts", [(90, 120), (90, 12), (12, 20), (5000, 3000)])
def test_the_distance_is_torchmetrics_fid_of_the_same_features(counts):
    real, fake = draw(counts[0], 16, 1), draw(counts[1], 16, 2)
    identity = torch.nn.Identity()
    identity.num_features = 16
    reference = FrechetInceptionDistance(identity)
    reference.set_dtype(torch.float64)
    reference.update(real, real=True)
    reference.update(fake, real=False)
    found = frechet_distance(fit_gaussian(real), fit_gaussian(fake))
    assert float(found) == pytest.approx(float(reference.compute()), rel=1e-6)


@pytest.mark.parametrize("count", [9, 40])
def test_a_fit_of_float32_features_in_chunks_is_numpys_in_float64(monkeypatch, count):
    """Far from the origin, where sums of squares in float32 would keep three digits."""
    monkeypatch.setattr(frechet, "CHUNK", 7)
    features = (draw(count, 8, 1) + 1000).float()
    found, rows = fit_gaussian(features), features.double().numpy()
    np.testing.assert_allclose(found.mean.numpy(), rows.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(rows.T), rtol=1e-9, atol=1e-12)


def test_the_transport_map_turns_one_covariance_into_the_other():
    one, other = (fit_gaussian(draw(200, 12, seed, decay=1)).covariance for seed in (1, 2))
    transport = transport_map(one, other)
    torch.testing.assert_close(transport @ other @ transport, one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("shift", "scale"), [(0.3, 1.0), (0.0, 1.4), (0.3, 0.6)])
def test_the_standard_error_is_the_deviation_over_draws_of_the_samples(shift, scale):
    real = fit_gaussian(draw(2000, 6, 1))
    sides = [scale * draw(500, 6, seed) + shift for seed in range(100, 300)]
    deviation = torch.stack([frechet_distance(real, fit_gaussian(fake)) for fake in sides]).std()
    errors = torch.stack([standard_error(real, fake) for fake in sides])
    assert float(errors.mean()) == pytest.approx(float(deviation), rel=0.15)  # 5% is the error of 200 draws' deviation


def test_constant_samples_have_no_standard_error():
    assert float(standard_error(fit_gaussian(draw(50, 6, 1)), torch.ones(20, 6))) == 0


def test_equal_sets_are_at_distance_zero_even_when_there_are_few():
    few = fit_gaussian(draw(10, 64, 1))
    assert abs(float(frechet_distance(few, few))) < 1e-12 * float(few.covariance.trace())
