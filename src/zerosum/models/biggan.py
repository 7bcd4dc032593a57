"""BigGAN (Brock et al. 2019): parts of z and the label enter every block, with spectral norm in both networks."""

import itertools
from typing import ClassVar

import torch
from torch import Tensor, nn

from zerosum.errors import UserError, check_positive
from zerosum.models import residual
from zerosum.models.attention import insert_attention
from zerosum.models.blocks import normalize_spectrally
from zerosum.models.residual import GeneratorBlock, convolution
from zerosum.models.resolutions import check_resolution

WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 8, 4, 2, 1),
    128: (16, 16, 8, 4, 2, 1),
    256: (16, 16, 8, 8, 4, 2, 1),
}
"""Of G from 4x4 up to each resolution, in base channels"""
DISCRIMINATOR_WIDTHS = {
    32: (2, 2, 2, 2),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
    256: (1, 2, 4, 8, 8, 16, 16),
}
HALVED = {32: 2, 64: 4, 128: 5, 256: 6}
"""How many of D's blocks halve the resolution, the first ones"""


class ModulatedBatchNorm(nn.Module):
    """Batch norm whose gain, 1 + A c, and bias, B c, are linear in a vector c (Brock et al. 2019, appendix B)."""

    takes_condition: ClassVar[bool] = True

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=1e-4, affine=False)
        self.gain = nn.Linear(size, channels, bias=False)
        self.bias = nn.Linear(size, channels, bias=False)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) and (B, size) to (B, C, H, W)."""
        gain, bias = (layer(condition)[:, :, None, None] for layer in (self.gain, self.bias))
        return self.norm(features) * (1 + gain) + bias


class Generator(nn.Module):
    """Noise to an image by residual blocks; z is divided into a part for the first layer and one for each block.

    The parts are equal but for the first one, which has what is left over.
    A label joins each part as an embedding of `shared_embedding` numbers that all blocks share, without spectral norm,
    which cripples it.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int = 80,
        base_channels: int = 96,
        attention: bool = True,
        shared_embedding: int = 128,
        condition_size: int = 0,
    ) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, base_channels=base_channels)
        check_positive("model.generator", shared_embedding=shared_embedding)
        side = check_resolution(sample_shape, "biggan", tuple(WIDTHS))
        widths = [multiple * base_channels for multiple in WIDTHS[side]]
        if latent_dim < len(widths):
            raise UserError(
                f"model.latent_dim={latent_dim} is divided over {len(widths)} layers of biggan: choose at least as many"
            )
        self.latent_dim = latent_dim
        part = latent_dim // len(widths)
        self.parts = [latent_dim - (len(widths) - 1) * part] + (len(widths) - 1) * [part]
        self.project = nn.Linear(self.parts[0], 4 * 4 * widths[0])
        size = part + (shared_embedding if condition_size else 0)
        blocks: list[nn.Module] = [
            GeneratorBlock(*pair, lambda channels: ModulatedBatchNorm(channels, size))
            for pair in itertools.pairwise(widths)
        ]
        if attention:
            insert_attention(blocks, [8 * 2**block for block in range(len(blocks))], widths[1:], side)
        self.blocks = nn.ModuleList(blocks)
        self.output = nn.Sequential(
            nn.BatchNorm2d(widths[-1], eps=1e-4), nn.ReLU(), convolution(widths[-1], sample_shape[0])
        )
        self.apply(initialize)
        normalize_spectrally(self)
        self.embed = nn.Linear(condition_size, shared_embedding, bias=False) if condition_size else None
        if self.embed is not None:
            initialize(self.embed)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim), with a label (B, condition_size), to (B, C, H, W) in [-1, 1]."""
        first, *parts = z.split(self.parts, 1)
        if self.embed is not None:
            shared = self.embed(condition)
            parts = [torch.cat([shared, part], 1) for part in parts]
        features = self.project(first).unflatten(1, (-1, 4, 4))
        remaining = iter(parts)
        for block in self.blocks:
            features = block(features, next(remaining) if isinstance(block, GeneratorBlock) else None)
        return self.output(features).tanh()


class Discriminator(residual.Discriminator):
    """An image to a logit; blocks are as wide within as at their end."""

    def __init__(self, sample_shape: tuple[int, ...], base_channels: int = 96, attention: bool = True) -> None:
        check_positive("model", base_channels=base_channels)
        side = check_resolution(sample_shape, "biggan", tuple(WIDTHS))
        widths = [multiple * base_channels for multiple in DISCRIMINATOR_WIDTHS[side]]
        super().__init__(sample_shape, widths, HALVED[side], wide=True, attention=attention)
        self.apply(initialize)
        normalize_spectrally(self)


def initialize(layer: nn.Module) -> None:
    """Orthogonal weights (Saxe et al. 2014), biases 0."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
