"""The variational autoencoder against quadrature over its codes, scipy and torch.distributions."""

import itertools
import math

import pytest
import torch
from scipy.stats import logistic
from torch.distributions import Normal, kl_divergence

from zerosum.errors import UserError
from zerosum.families.levels import from_levels
from zerosum.families.vae import VAE, BernoulliPixels, Code, LogisticPixels


def tiny(levels=2, samples=4000, **options):
    """A model of 1x2x2 images with one code, and far from its start."""
    torch.manual_seed(0)
    vae = VAE((1, 2, 2), None, levels=levels, latent_dim=1, width=8, depth=1, importance_samples=samples, **options)
    with torch.no_grad():
        for weight in vae.network.decoder.parameters():
            weight.mul_(4)
    vae.ema.network.load_state_dict(vae.network.state_dict())
    return vae.eval()


def by_quadrature(vae, images):
    """log of the integral of p(x | z) N(z; 0, 1), (B,)."""
    z = torch.linspace(-8, 8, 4001)
    network = vae.ema.network
    likelihood = network.log_likelihood(images, z[:, None, None].expand(-1, len(images), 1))
    return (likelihood + Normal(0, 1).log_prob(z)[:, None]).logsumexp(0) + math.log(16 / 4000)


@torch.inference_mode()
def test_the_bound_lies_below_the_likelihood_and_the_estimate_at_it():
    """All 16 images of 2x2 pixels: their probabilities by quadrature sum to 1."""
    vae = tiny()
    values = torch.tensor(list(itertools.product([0, 1], repeat=4))).view(-1, 1, 2, 2)
    images = from_levels(values, 2)
    exact = by_quadrature(vae, images)
    assert float(exact.exp().sum()) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(vae.log_prob(images), exact, atol=0.15, rtol=0)
    torch.testing.assert_close(vae.log_prob(images).mean(), exact.mean(), atol=0.03, rtol=0)
    bound = torch.stack([vae.bound(images) for _ in range(400)]).mean(0)
    assert (bound <= exact + 0.05).all() and float((exact - bound).mean()) > 0.1
    few = torch.stack([tiny(samples=5).log_prob(images) for _ in range(400)]).mean(0)
    assert float(bound.mean()) < float(few.mean()) < float(exact.mean())


def test_kl_is_that_of_torch_distributions():
    torch.manual_seed(0)
    code = Code(torch.randn(5, 3), torch.randn(5, 3))
    q = Normal(code.mean, (code.log_variance / 2).exp())
    torch.testing.assert_close(code.kl(), kl_divergence(q, Normal(0.0, 1.0)).sum(1))
    z = code.draw(torch.randn(5, 3))
    torch.testing.assert_close(code.log_prob(z), q.log_prob(z).sum(1))


@pytest.mark.parametrize(("mean", "log_scale"), [(0.0, 0.0), (-3.0, -4.0), (0.2, 30.0), (0.5, -9.0)])
@pytest.mark.parametrize("levels", [2, 5, 256])
def test_cells_of_the_logistic_have_its_probability(mean, log_scale, levels):
    """scipy's distribution function in float64; float32 agrees where a difference of functions would be 0 or NaN."""
    pixels = LogisticPixels(levels)
    values = torch.arange(levels)
    parameters = torch.tensor([mean] * levels + [log_scale] * levels, requires_grad=True)
    found = pixels.log_prob(values, parameters)
    (gradient,) = torch.autograd.grad(found.sum(), parameters)
    assert gradient.isfinite().all() and float(found.detach().exp().sum()) == pytest.approx(1, abs=1e-4)
    distribution = logistic(mean + 0.5, math.exp(max(log_scale - 2, -7)))
    edges = [-math.inf, *[k / levels for k in range(1, levels)], math.inf]
    cells = [distribution.cdf(b) - distribution.cdf(a) for a, b in itertools.pairwise(edges)]
    for value, expected in zip(found.exp().tolist(), cells, strict=True):
        assert value == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("pixels", [BernoulliPixels(), LogisticPixels(3)])
def test_pixels_are_drawn_as_often_as_they_are_likely(pixels):
    levels = getattr(pixels, "levels", 2)
    parameters = torch.tensor([0.3, 0.4][: pixels.numbers])
    uniform = (torch.arange(30_000) + 0.5).view(-1, 1) / 30_000
    drawn = pixels.draw(parameters.expand(30_000, -1), uniform)
    shares = torch.bincount(drawn.flatten(), minlength=levels) / 30_000
    expected = [float(pixels.log_prob(torch.tensor([value]), parameters).exp()) for value in range(levels)]
    torch.testing.assert_close(shares, torch.tensor(expected), atol=1e-3, rtol=0)


def test_a_code_and_its_pixels_are_independent():
    """One seed gives both: the first pixel's noise does not follow from the code's."""
    vae = tiny()
    with torch.no_grad():
        for weight in vae.ema.network.decoder.parameters():
            weight.zero_()
    from zerosum.sampling import latents

    white = (vae.sample(range(4000)).flatten(1)[:, 0] > 0).float()
    codes = latents(range(4000), 5)[:, 0]
    assert abs(float(torch.corrcoef(torch.stack([white, codes]))[0, 1])) < 0.06


def test_bernoulli_pixels_are_refused_for_gray_ones_and_points_by_all():
    with pytest.raises(UserError, match=r"model\.decoder=bernoulli is for black and white pixels, these have 256"):
        VAE((1, 8, 8), None, levels=256, decoder="bernoulli")
    with pytest.raises(UserError, match="VAE models images, this dataset has points"):
        VAE((2,), None, levels=None)
