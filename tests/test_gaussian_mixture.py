"""EM against scikit-learn from equal starts, and what is true of it by theorem."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as Oracle

from zerosum.errors import UserError
from zerosum.families.gaussian_mixture import GaussianMixture, Statistics

FLOOR = 1e-4


def points(count=400):
    random = np.random.default_rng(0)
    centres = random.normal(0, 3, (3, 2))
    return torch.from_numpy(centres[random.integers(0, 3, count)] + random.normal(0, 1, (count, 2)))


def started(kind, x, components=3):
    module = GaussianMixture((2,), levels=None, components=components, covariance=kind, floor=FLOOR)
    module.start_at(x)
    return module


def step(mixture, x, floor=FLOOR):
    """One of EM on all points; the likelihood before it."""
    found = Statistics(*(part / len(x) for part in mixture.expect(x)))
    mixture.maximize(found, floor)
    return float(found.log_likelihood)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_it_agrees_with_scikit_learn_from_equal_starts(kind):
    x, steps = points(), 25
    mixture = started(kind, x).network
    covariances = mixture.covariances.numpy()
    precisions = np.linalg.inv(covariances) if kind == "full" else 1 / covariances
    oracle = Oracle(
        3,
        covariance_type={"full": "full", "diagonal": "diag"}[kind],
        tol=0,
        reg_covar=FLOOR,
        max_iter=steps,
        weights_init=mixture.weights.numpy(),
        means_init=mixture.means.numpy().copy(),
        precisions_init=precisions,
    )
    with pytest.warns(UserWarning, match="did not converge"):
        oracle.fit(x.numpy())
    for _ in range(steps):
        step(mixture, x)
    np.testing.assert_allclose(mixture.means, oracle.means_, atol=1e-6)
    np.testing.assert_allclose(mixture.weights, oracle.weights_, atol=1e-6)
    np.testing.assert_allclose(mixture.covariances, oracle.covariances_, atol=1e-6)
    np.testing.assert_allclose(mixture.log_prob(x), oracle.score_samples(x.numpy()), atol=1e-6)


@pytest.mark.parametrize("kind", ["full", "diagonal"])
def test_the_likelihood_never_falls(kind):
    x = points()
    mixture = started(kind, x, 6).network
    likelihoods = [step(mixture, x, floor=0.0) for _ in range(60)]
    assert (np.diff(likelihoods) >= -1e-10).all() and likelihoods[-1] > likelihoods[0] + 0.1


def test_a_component_without_points_keeps_its_place():
    x = points()
    mixture = started("full", x).network
    mixture.means[0] = 1e6
    before = mixture.covariances[0].clone()
    step(mixture, x)
    assert float(mixture.means[0, 0]) == 1e6 and torch.equal(mixture.covariances[0], before)
    assert float(mixture.weights[0]) == 0 and mixture.log_prob(x).isfinite().all()


def test_samples_have_the_moments_of_the_mixture():
    """Of 20,000 samples: means to 0.1, covariances to 0.3 of a deviation of 3."""
    x = points()
    module = started("full", x)
    for _ in range(20):
        step(module.network, x)
    module.load_raw_weights()
    drawn = module.sample(range(20_000)).double()
    weights, means = module.network.weights, module.network.means
    mean = weights @ means
    covariance = torch.einsum("k,kij->ij", weights, module.network.covariances) + torch.einsum(
        "k,ki,kj->ij", weights, means - mean, means - mean
    )
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), covariance, atol=0.3, rtol=0)


def test_options_that_cannot_be_are_refused():
    with pytest.raises(UserError, match=r"take model\.covariance=diagonal"):
        GaussianMixture((3, 32, 32))
    with pytest.raises(UserError, match="GaussianMixture has none"):
        GaussianMixture((2,), optimizer=torch.optim.Adam)
    with pytest.raises(UserError, match=r"model\.floor=0"):
        GaussianMixture((2,), floor=0)
