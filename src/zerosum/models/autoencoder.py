"""Convolutions from images of any size to codes and back, and a discriminator of the same build."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from zerosum.errors import UserError, check_positive
from zerosum.models.networks import Scores

SMALLEST = 4
"""Height and width of the innermost maps, at most"""
GROUPS = 8
"""Of group norm"""


def sides_of(sample_shape: Sequence[int], base_channels: int) -> list[int]:
    """Height and width of the maps, from the image's on, halved and rounded up; UserError for points."""
    if len(sample_shape) != 3:
        raise UserError("model: an autoencoder needs images, this dataset has points: take one such as dataset=digits")
    check_positive("model", base_channels=base_channels)
    if base_channels % GROUPS:
        raise UserError(f"model.base_channels={base_channels}: choose a multiple of {GROUPS}")
    sides = [sample_shape[1]]
    while sides[-1] > SMALLEST:
        sides.append((sides[-1] + 1) // 2)
    return sides


class Encoder(nn.Module):
    """(B, C, H, W) to codes (B, latent_dim): channels double from `base_channels` wherever the side halves."""

    def __init__(self, sample_shape: Sequence[int], latent_dim: int = 32, base_channels: int = 32) -> None:
        super().__init__()
        sides = sides_of(sample_shape, base_channels)
        channels = [base_channels * 2**stage for stage in range(len(sides))]
        layers: list[nn.Module] = [nn.Conv2d(sample_shape[0], base_channels, 3, 1, 1)]
        for before, after in pairwise(channels):
            layers += [nn.GroupNorm(GROUPS, before), nn.SiLU(), nn.Conv2d(before, after, 3, 2, 1)]
        layers += [nn.GroupNorm(GROUPS, channels[-1]), nn.SiLU(), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(channels[-1] * sides[-1] ** 2, latent_dim))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Decoder(nn.Module):
    """Codes (B, latent_dim) to images in [-1, 1], by nearest upsampling and convolutions."""

    def __init__(self, sample_shape: Sequence[int], latent_dim: int = 32, base_channels: int = 32) -> None:
        super().__init__()
        sides = sides_of(sample_shape, base_channels)[::-1]
        channels = [base_channels * 2**stage for stage in reversed(range(len(sides)))]
        shape = (channels[0], sides[0], sides[0])
        layers: list[nn.Module] = [nn.Linear(latent_dim, channels[0] * sides[0] ** 2), nn.Unflatten(1, shape)]
        for side, (before, after) in zip(sides[1:], pairwise(channels), strict=True):
            layers += [nn.GroupNorm(GROUPS, before), nn.SiLU(), nn.Upsample((side, side))]
            layers += [nn.Conv2d(before, after, 3, 1, 1)]
        self.layers = nn.Sequential(*layers, nn.GroupNorm(GROUPS, channels[-1]), nn.SiLU())
        self.output = nn.Conv2d(channels[-1], sample_shape[0], 3, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        return self.output(self.layers(z)).tanh()


class Discriminator(nn.Module):
    """(B, C, H, W) to a logit; no normalization, leaky ReLU of slope 0.2."""

    def __init__(self, sample_shape: Sequence[int], base_channels: int = 32) -> None:
        super().__init__()
        sides = sides_of(sample_shape, base_channels)
        channels = [base_channels * 2**stage for stage in range(len(sides))]
        layers: list[nn.Module] = [nn.Conv2d(sample_shape[0], base_channels, 3, 1, 1), nn.LeakyReLU(0.2)]
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * sides[-1] ** 2, 1))

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        return Scores(self.layers(images).squeeze(1))
