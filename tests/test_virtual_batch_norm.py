"""Reference and virtual batch norm against torch's own batch norm, and a DCGAN whose images depend on their z alone."""

import copy

import pytest
import torch
from torch.nn.functional import batch_norm

from zerosum.errors import UserError
from zerosum.models.dcgan import Generator
from zerosum.models.virtual_batch_norm import NORMS, REFERENCES, norm_of


def layer_and_features(name):
    torch.manual_seed(0)
    layer, features = norm_of(name)(3), 2 + 3 * torch.randn(REFERENCES + 5, 3, 4, 4)
    torch.nn.init.normal_(layer.weight), torch.nn.init.normal_(layer.bias)
    return layer, features


def test_references_and_with_reference_norm_samples_have_the_statistics_of_the_references():
    layer, features = layer_and_features("reference")
    reference = features[:REFERENCES]
    mean, variance = reference.mean((0, 2, 3)), reference.var((0, 2, 3), correction=0)
    expected = batch_norm(features, mean, variance, layer.weight, layer.bias)
    torch.testing.assert_close(layer(features), expected)
    torch.testing.assert_close(layer_and_features("virtual")[0](features)[:REFERENCES], expected[:REFERENCES])


def test_with_virtual_norm_each_sample_is_normalized_as_one_more_of_the_references():
    layer, features = layer_and_features("virtual")
    found = layer(features)[REFERENCES:]
    for sample, normalized in zip(features[REFERENCES:], found, strict=True):
        together = torch.cat([features[:REFERENCES], sample[None]])
        expected = batch_norm(together, None, None, layer.weight, layer.bias, training=True)[-1]
        torch.testing.assert_close(normalized, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["reference", "virtual"])
@pytest.mark.parametrize("mean", [100.0, 5000.0])
def test_a_mean_far_greater_than_the_deviation_does_not_cancel(name, mean):
    """Against float64 to 5e-3: one step of float32 at 5000 is 5e-4."""
    torch.manual_seed(0)
    layer, features = norm_of(name)(4), mean + torch.randn(REFERENCES + 8, 4, 8, 8)
    expected = copy.deepcopy(layer).double()(features.double())
    torch.testing.assert_close(layer(features).double(), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", ["reference", "virtual"])
def test_values_whose_squares_overflow_float16_are_normalized(name):
    torch.manual_seed(0)
    features = (300 * torch.randn(REFERENCES + 8, 4, 8, 8)).half()
    found = norm_of(name)(4)(features)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), norm_of(name)(4)(features.float()), atol=5e-3, rtol=0)


@pytest.mark.parametrize("norm", ["reference", "virtual"])
def test_an_image_depends_on_its_z_alone_in_training_too(norm):
    torch.manual_seed(0)
    generator, z = Generator((1, 16, 16), 8, 8, norm=norm), torch.randn(5, 8)
    together = generator.train()(z)
    assert together.shape == (5, 1, 16, 16)
    for single, row in zip(together, z, strict=True):
        torch.testing.assert_close(generator(row[None])[0], single, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(generator.eval()(z), together)
    assert torch.equal(generator.references, Generator((1, 16, 16), 8, 8, norm=norm).references)


def test_with_batch_norm_it_depends_on_the_others_and_the_network_is_what_it_was():
    torch.manual_seed(0)
    generator, z = Generator((1, 16, 16), 8, 8), torch.randn(5, 8)
    assert (generator(z)[0] - generator(torch.cat([z[:1], torch.randn(4, 8)]))[0]).abs().max() > 1e-3
    assert "references" not in generator.state_dict()
    assert [type(layer).__name__ for layer in generator.layers].count("BatchNorm2d") == 2


def test_an_unknown_norm_is_a_sentence():
    with pytest.raises(UserError, match=r"model\.norm=virtul: .* batch, reference, virtual\. Did you mean virtual"):
        Generator((1, 16, 16), norm="virtul")
    assert list(NORMS) == ["batch", "reference", "virtual"]
