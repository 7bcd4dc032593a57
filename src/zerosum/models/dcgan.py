"""DCGAN (Radford et al. 2016): strided convolutions, batch norm, no pooling, no hidden dense layers."""

import itertools
import math

import torch
from torch import Tensor, nn

from zerosum.errors import check_positive
from zerosum.models.blocks import ConditionedLayers, logit_head, normalize_spectrally, score
from zerosum.models.networks import Scores
from zerosum.models.resolutions import check_resolution
from zerosum.models.virtual_batch_norm import ReferenceNorm2d, norm_of, reference_latents

RESOLUTIONS = (16, 32, 64, 128)


def widths(sample_shape: tuple[int, ...], base_channels: int) -> list[int]:
    """Channels at 4x4, 8x8, ... up to half the resolution: halved at each doubling, down to `base_channels`."""
    height = check_resolution(sample_shape, "dcgan", RESOLUTIONS)
    stages = int(math.log2(height)) - 2
    return [base_channels * 2**stage for stage in reversed(range(stages))]


def initialize(module: nn.Module) -> None:
    """Weights N(0, 0.02), batch norm scales N(1, 0.02), biases 0 (Radford et al. 2016, section 4)."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, nn.BatchNorm2d | ReferenceNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """Noise to an image: projected to 4x4, doubled by transposed convolutions; batch norm everywhere but at the end.

    `norm` is "batch", or "reference" or "virtual" (Salimans et al. 2016), with which no sample depends on its batch.
    """

    references: Tensor | None

    def __init__(
        self, sample_shape: tuple[int, ...], latent_dim: int = 100, base_channels: int = 64, norm: str = "batch"
    ) -> None:
        super().__init__()
        make_norm = norm_of(norm)
        check_positive("model", latent_dim=latent_dim, base_channels=base_channels)
        channels = widths(sample_shape, base_channels)
        self.latent_dim = latent_dim
        # The paper's first layer, a transposed convolution of a 1x1 map, is this product.
        self.project = nn.Linear(latent_dim, 4 * 4 * channels[0], bias=False)
        layers: list[nn.Module] = [make_norm(channels[0]), nn.ReLU(inplace=True)]
        for before, after in itertools.pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), make_norm(after)]
            layers += [nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(channels[-1], sample_shape[0], 4, 2, 1, bias=False)]
        self.layers = ConditionedLayers(*layers)
        self.register_buffer("references", reference_latents(layers, latent_dim))
        self.apply(initialize)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, C, H, W) in [-1, 1]."""
        if self.references is not None:
            return self.decode(torch.cat([self.references.to(z.dtype), z]), condition)[len(self.references) :]
        return self.decode(z, condition)

    def decode(self, z: Tensor, condition: Tensor | None) -> Tensor:
        """Every row of z to an image, those of the reference batch too."""
        projected = self.project(z).unflatten(1, (4, 4, -1)).permute(0, 3, 1, 2)  # (B, C, 4, 4), channels last
        return self.layers(projected, condition).tanh()


class Discriminator(nn.Module):
    """An image to a logit: halved by strided convolutions to 4x4; batch norm everywhere but in the first layer.

    `spectral_norm` takes batch norm's place (Miyato et al. 2018). The two `minibatch_` layers, which show D how alike
    the samples of a batch are, stand before the logit.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        base_channels: int = 64,
        spectral_norm: bool = False,
        minibatch_stddev: bool = False,
        minibatch_discrimination: bool = False,
    ) -> None:
        super().__init__()
        check_positive("model", base_channels=base_channels)
        channels = widths(sample_shape, base_channels)[::-1]
        layers: list[nn.Module] = [
            nn.Conv2d(sample_shape[0], channels[0], 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, True),
        ]
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=spectral_norm)]
            layers += [] if spectral_norm else [nn.BatchNorm2d(after)]
            layers += [nn.LeakyReLU(0.2, True)]
        self.layers = nn.Sequential(*layers)
        self.head = logit_head((channels[-1], 4, 4), minibatch_stddev, minibatch_discrimination)
        self.num_features = self.head[-1].in_features
        self.apply(initialize)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, C, H, W) to (B,)."""
        return score(self.head, self.layers(images))
