"""Layers against mode collapse and for Lipschitz discriminators."""

import pytest
import torch
from torch import nn

from zerosum.models import dcgan, mlp
from zerosum.models.blocks import MinibatchDiscrimination, MinibatchStandardDeviation, normalize_spectrally


@pytest.mark.parametrize("network", [dcgan.Discriminator, mlp.Discriminator])
@pytest.mark.parametrize("option", ["spectral_norm", "minibatch_stddev", "minibatch_discrimination"])
def test_every_discriminator_has_every_option(network, option):
    images = torch.randn(8, 1, 16, 16)
    logits = network((1, 16, 16), 8, **{option: True})(images).logits
    assert logits.shape == (8,) and logits.isfinite().all()


def test_spectral_norm_divides_by_the_largest_singular_value():
    torch.manual_seed(0)
    layer = normalize_spectrally(nn.Sequential(nn.Linear(6, 4)))[0]
    for _ in range(200):
        layer(torch.randn(2, 6))  # one power iteration each
    assert float(torch.linalg.matrix_norm(layer.weight, 2)) == pytest.approx(1, abs=1e-4)
    original = layer.parametrizations.weight.original
    torch.testing.assert_close(layer.weight, original / torch.linalg.matrix_norm(original, 2), rtol=1e-3, atol=1e-4)


def test_spectral_norm_takes_batch_norms_place():
    kinds = {type(layer) for layer in dcgan.Discriminator((3, 32, 32), 8, spectral_norm=True).modules()}
    assert nn.BatchNorm2d not in kinds


def test_deviation_is_that_of_each_group_of_four():
    features = torch.randn(8, 3, 2, 2, dtype=torch.float64)
    result = MinibatchStandardDeviation()(features)
    assert result.shape == (8, 4, 2, 2) and torch.equal(result[:, :3], features)
    for first in range(2):
        group = features[4 * first : 4 * first + 4]  # neighbours, so that two processes form the same groups as one
        expected = group.var(0, correction=0).sqrt().mean()
        torch.testing.assert_close(result[4 * first : 4 * first + 4, 3], expected.expand(4, 2, 2), rtol=1e-5, atol=1e-6)


def test_a_collapsed_batch_has_no_deviation_and_is_near_itself():
    alike = torch.ones(6, 5)
    assert MinibatchStandardDeviation()(alike)[:, 5].abs().max() < 1e-3
    torch.testing.assert_close(MinibatchDiscrimination(5, 3)(alike)[:, 5:], torch.full((6, 3), 5.0))


def test_discrimination_is_the_papers_sum():
    torch.manual_seed(0)
    layer, features = MinibatchDiscrimination(5, kernels=3, dimensions=2), torch.randn(4, 5)
    measures = (features @ layer.project.weight.T).view(4, 3, 2)
    for i in range(4):
        for kernel in range(3):
            others = [j for j in range(4) if j != i]
            expected = sum(torch.exp(-(measures[i, kernel] - measures[j, kernel]).abs().sum()) for j in others)
            torch.testing.assert_close(layer(features)[i, 5 + kernel], expected)
