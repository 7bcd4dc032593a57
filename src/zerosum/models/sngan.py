"""SNGAN (Miyato et al. 2018): residual networks, with spectral norm in every layer of D."""

import itertools
import math

from torch import Tensor, nn

from zerosum.errors import check_positive
from zerosum.models import residual
from zerosum.models.attention import insert_attention
from zerosum.models.blocks import normalize_spectrally
from zerosum.models.residual import GeneratorBlock, convolution
from zerosum.models.resolutions import check_resolution

WIDTHS = {16: (4, 4, 4), 32: (4, 4, 4, 4), 64: (16, 8, 4, 2, 1), 128: (16, 16, 8, 4, 2, 1)}
"""Of G from 4x4 up to each resolution, in base channels: those of the paper, and 16 pixels by the rule of 32"""
DISCRIMINATOR_WIDTHS = {16: (2, 2, 2, 2), 32: (2, 2, 2, 2), 64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16)}
HALVED = {16: 2, 32: 2, 64: 5, 128: 5}
"""How many of D's blocks halve the resolution, the first ones"""


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with the epsilon of the authors' code."""
    return nn.BatchNorm2d(channels, eps=2e-5)


class Generator(nn.Module):
    """Noise to an image: a linear map to 4x4, residual blocks with batch norm that double it, and a 3x3 convolution.

    The batch norms of the blocks can be conditioned on labels; the last one is not (Miyato and Koyama 2018). SAGAN has
    `attention` at half the side of the image, at most 64, and `spectral_norm` in every layer (Zhang et al. 2019).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        latent_dim: int = 128,
        base_channels: int = 64,
        attention: bool = False,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, base_channels=base_channels)
        side = check_resolution(sample_shape, "sagan" if attention else "sngan", tuple(WIDTHS))
        widths = [multiple * base_channels for multiple in WIDTHS[side]]
        self.latent_dim = latent_dim
        self.project = nn.Linear(latent_dim, 4 * 4 * widths[0])
        blocks: list[nn.Module] = [GeneratorBlock(*pair, norm) for pair in itertools.pairwise(widths)]
        if attention:
            insert_attention(blocks, [8 * 2**block for block in range(len(blocks))], widths[1:], side)
        self.blocks = nn.ModuleList(blocks)
        last = convolution(widths[-1], sample_shape[0])
        self.output = nn.Sequential(norm(widths[-1]), nn.ReLU(), last)
        initialize(self)
        nn.init.xavier_uniform_(last.weight)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, C, H, W) in [-1, 1]."""
        features = self.project(z).unflatten(1, (-1, 4, 4))
        for block in self.blocks:
            features = block(features, condition)
        return self.output(features).tanh()


class Discriminator(residual.Discriminator):
    """An image to a logit; blocks are as wide within as at their start, and the last map has no bias.

    `attention` as in the generator.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        base_channels: int = 64,
        attention: bool = False,
        spectral_norm: bool = True,
    ) -> None:
        check_positive("model", base_channels=base_channels)
        side = check_resolution(sample_shape, "sagan" if attention else "sngan", tuple(WIDTHS))
        widths = [multiple * base_channels for multiple in DISCRIMINATOR_WIDTHS[side]]
        super().__init__(sample_shape, widths, HALVED[side], attention=attention, bias=False)
        initialize(self)
        if spectral_norm:
            normalize_spectrally(self)


def initialize(network: nn.Module) -> None:
    """Glorot's uniform weights, with gain sqrt(2) before the ReLUs of a block's main branch, biases 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            is_main = isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
            nn.init.xavier_uniform_(layer.weight, math.sqrt(2) if is_main else 1.0)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
