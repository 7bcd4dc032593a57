"""Networks: shapes, the rules of their papers, and the shapes that they refuse."""

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.models import dcgan, mlp


@pytest.mark.parametrize("resolution", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_makes_and_judges_images_of_every_size(resolution, channels):
    shape = (channels, resolution, resolution)
    images = dcgan.Generator(shape, 10, 4)(torch.randn(2, 10))
    assert images.shape == (2, *shape) and images.abs().max() <= 1
    assert dcgan.Discriminator(shape, 4)(images).logits.shape == (2,)


def test_dcgan_at_64_pixels_has_the_papers_widths():
    convolutions = [m for m in dcgan.Generator((3, 64, 64)).modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(c.in_channels, c.out_channels) for c in convolutions] == [(512, 256), (256, 128), (128, 64), (64, 3)]


def test_batch_norm_is_everywhere_but_in_the_last_and_the_first_layer():
    kinds = [type(layer) for layer in dcgan.Generator((3, 32, 32)).layers]
    assert kinds[-2:] == [nn.ReLU, nn.ConvTranspose2d] and kinds.count(nn.BatchNorm2d) == 3
    kinds = [type(layer) for layer in dcgan.Discriminator((3, 32, 32)).layers]
    assert kinds[:3] == [nn.Conv2d, nn.LeakyReLU, nn.Conv2d] and kinds.count(nn.BatchNorm2d) == 2


def test_weights_start_with_the_papers_deviation():
    torch.manual_seed(0)
    for network in (dcgan.Generator((3, 64, 64)), dcgan.Discriminator((3, 64, 64))):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert float(layer.weight.std()) == pytest.approx(0.02, rel=0.1)
                assert abs(float(layer.weight.mean())) < 0.002
            if isinstance(layer, nn.BatchNorm2d):
                assert float(layer.weight.mean()) == pytest.approx(1, abs=0.01)


def test_the_first_layer_is_the_papers_transposed_convolution_of_a_1x1_map():
    network = dcgan.Generator((3, 16, 16), 5, 4)
    z = torch.randn(2, 5)
    kernel = network.project.weight.view(4, 4, -1, 5).permute(3, 2, 0, 1)  # (latent, channels, 4, 4)
    expected = nn.functional.conv_transpose2d(z[:, :, None, None], kernel)
    projected = network.project(z).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(projected, expected)


@pytest.mark.parametrize("shape", [(1, 48, 48), (1, 256, 256), (3, 32, 64)])
def test_dcgan_refuses_what_it_cannot_make(shape):
    with pytest.raises(UserError, match="16, 32, 64 or 128"):
        dcgan.Generator(shape)


def test_dcgan_refuses_points_and_names_the_model_for_them():
    with pytest.raises(UserError, match="model=mlp"):
        dcgan.Discriminator((2,))


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 16, 16)])
def test_mlp_serves_points_and_images(shape):
    images = mlp.Generator(shape, 4, 8, 2)(100 * torch.randn(3, 4))
    assert images.shape == (3, *shape)
    assert (images.abs().max() <= 1) == (len(shape) == 3)
    assert mlp.Discriminator(shape, 8, 2)(images).logits.shape == (3,)
