"""pix2pix (Isola et al. 2017): a U-Net from a condition image to an image, and a discriminator of patches."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zerosum.errors import UserError, check_at_least, check_positive
from zerosum.models.blocks import normalize_spectrally
from zerosum.models.dcgan import initialize
from zerosum.models.networks import Scores
from zerosum.models.resolutions import check_resolution

RESOLUTIONS = (16, 32, 64, 128, 256)
WIDEST = 8
"""Times `base_channels`, as in the paper"""


class Generator(nn.Module):
    """Halves the condition by strided convolutions to 4x4 and doubles it again, each doubling joined by its equal.

    In place of the paper's dropout, which gave little variety, z scales and shifts the features of every doubling (as
    in MUNIT, Huang et al. 2018). Without z, `latent_dim` 0, a condition has one answer. A condition of another size
    than the image is resized bilinearly.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        condition_shape: tuple[int, ...],
        latent_dim: int = 8,
        base_channels: int = 64,
    ) -> None:
        super().__init__()
        check_positive("model", base_channels=base_channels)
        check_at_least("model", 0, latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.side = check_resolution(sample_shape, "image_to_image", RESOLUTIONS)
        stages = int(math.log2(self.side)) - 2
        widths = [base_channels * min(2**stage, WIDEST) for stage in range(stages)]  # at side / 2, ..., 4
        pairs = itertools.pairwise([condition_shape[0], *widths])
        self.down = nn.ModuleList(halving(before, after, index > 0) for index, (before, after) in enumerate(pairs))
        self.middle = Joined(widths[-1], widths[-1], latent_dim)
        pairs = itertools.pairwise(widths[::-1])
        self.up = nn.ModuleList(Doubling(before, after, after, latent_dim) for before, after in pairs)
        narrow = max(1, base_channels // 2)  # full resolution takes most of the time
        self.up.append(Doubling(widths[0], condition_shape[0], narrow, latent_dim))
        self.last = nn.Conv2d(narrow, sample_shape[0], 3, 1, 1)
        self.apply(initialize)
        for layer in self.modules():
            if isinstance(layer, Joined):
                layer.let_z_matter()

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(B, latent_dim) and conditions (B, c, h, w) to (B, C, H, W) in [-1, 1]."""
        features = resize(condition, self.side)
        skipped = []
        for layer in self.down:
            skipped.append(features)
            features = layer(features)
        features = self.middle(features, z)
        for layer in self.up:
            features = layer(features, skipped.pop(), z)
        return self.last(features).tanh()


class Joined(nn.Module):
    """Two convolutions: the first joins what it is given, is scaled and shifted by z, and the second is added to it."""

    def __init__(self, before: int, after: int, latent_dim: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.modulate = nn.Linear(latent_dim, 2 * after, bias=False) if latent_dim else None
        self.second = nn.Sequential(nn.ReLU(), nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))

    def let_z_matter(self) -> None:
        """Weights by which z ~ N(0, I) changes the scale and the shift by about a half."""
        if self.modulate is not None:
            nn.init.normal_(self.modulate.weight, 0.0, 0.5 / math.sqrt(self.modulate.in_features))

    def forward(self, features: Tensor, z: Tensor) -> Tensor:
        """(B, before, H, W) and z (B, latent_dim) to (B, after, H, W)."""
        features = self.norm(self.first(features))
        if self.modulate is not None:
            scale, shift = self.modulate(z)[:, :, None, None].chunk(2, 1)
            features = features * (1 + scale) + shift
        return (features + self.second(features)).relu()


class Doubling(nn.Module):
    """A transposed convolution to twice the side, joined by features of that side."""

    def __init__(self, before: int, skipped: int, after: int, latent_dim: int) -> None:
        super().__init__()
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)
        )
        self.join = Joined(after + skipped, after, latent_dim)

    def forward(self, features: Tensor, skipped: Tensor, z: Tensor) -> Tensor:
        """(B, before, H, W) and (B, skipped, 2 H, 2 W) to (B, after, 2 H, 2 W)."""
        return self.join(torch.cat([self.enlarge(features), skipped.to(features.dtype)], 1), z)


class Discriminator(nn.Module):
    """Scores overlapping patches of an image, beside its condition if it has one; each patch has one logit.

    `depth` convolutions halve the sides, so a patch is 8, 18, 38 or 78 pixels wide for a depth of 1 to 4 and there are
    (side / 2^depth)^2 of them. `spectral_norm` takes batch norm's place (Miyato et al. 2018).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        condition_shape: tuple[int, ...] | None = None,
        base_channels: int = 64,
        depth: int = 2,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_positive("model", base_channels=base_channels, depth=depth)
        self.side = check_resolution(sample_shape, "image_to_image", RESOLUTIONS)
        if self.side >> depth < 2:
            raise UserError(
                f"model.depth={depth}: {self.side} pixels can be halved {int(math.log2(self.side)) - 1} times"
            )
        widths = [base_channels * min(2**stage, WIDEST) for stage in range(depth)]
        inputs = sample_shape[0] + (0 if condition_shape is None else condition_shape[0])
        pairs = itertools.pairwise([inputs, *widths])
        self.layers = nn.Sequential(
            *(halving(before, after, before != inputs and not spectral_norm) for before, after in pairs),
            nn.Conv2d(widths[-1], 1, 3, 1, 1),
        )
        self.apply(initialize)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, C, H, W) and conditions (B, c, h, w), if it is built for them, to logits (B, P)."""
        seen = images if condition is None else torch.cat([images, resize(condition, self.side)], 1)
        return Scores(self.layers(seen).flatten(1))


def resize(condition: Tensor, side: int) -> Tensor:
    """(B, c, h, w) to (B, c, side, side), bilinear; as it is where it has this size."""
    if condition.shape[2:] == (side, side):
        return condition
    return interpolate(condition, (side, side), mode="bilinear", align_corners=False)


def halving(before: int, after: int, normalized: bool) -> nn.Sequential:
    """A strided convolution to half the side."""
    norm = [nn.BatchNorm2d(after)] if normalized else []
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=not normalized), *norm, nn.LeakyReLU(0.2, True))
