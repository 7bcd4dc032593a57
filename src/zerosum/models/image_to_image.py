"""pix2pix (Isola et al. 2017): a U-Net from a condition image to an image, and a discriminator of patches."""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from zerosum.errors import UserError, check_positive
from zerosum.models.blocks import normalize_spectrally
from zerosum.models.dcgan import initialize
from zerosum.models.networks import Scores
from zerosum.models.resolutions import check_resolution

RESOLUTIONS = (16, 32, 64, 128, 256)
WIDEST = 8
"""Times `base_channels`, as in the paper"""


class Generator(nn.Module):
    """Halves the condition by strided convolutions to 4x4 and doubles it again, each doubling joined by its equal.

    z joins the condition as channels that are equal everywhere, and the 4x4 map (Zhu et al. 2017, BicycleGAN, "add to
    all"): the paper's dropout gave little variety. A condition of another size than the image is resized bilinearly.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        condition_shape: tuple[int, ...],
        latent_dim: int = 8,
        base_channels: int = 64,
    ) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim, base_channels=base_channels)
        side = check_resolution(sample_shape, "image_to_image", RESOLUTIONS)
        self.latent_dim = latent_dim
        self.side = side
        stages = int(math.log2(side)) - 2
        inputs = condition_shape[0] + latent_dim
        widths = [base_channels * min(2**stage, WIDEST) for stage in range(stages)]  # at side / 2, ..., 4
        pairs = itertools.pairwise([inputs, *widths])
        self.down = nn.ModuleList(halving(before, after, normalized=before != inputs) for before, after in pairs)
        joined = [widths[-1] + latent_dim, *(2 * width for width in widths[-2::-1])]
        self.up = nn.ModuleList(
            doubling(before, after) for before, after in zip(joined, [*widths[-2::-1], base_channels], strict=True)
        )
        self.last = nn.Conv2d(base_channels + inputs, sample_shape[0], 3, 1, 1)
        self.apply(initialize)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """(B, latent_dim) and conditions (B, c, h, w) to (B, C, H, W) in [-1, 1]."""
        noise = z[:, :, None, None].to(condition.dtype)
        inputs = torch.cat([resize(condition, self.side), noise.expand(-1, -1, self.side, self.side)], 1)
        features, skipped = inputs, []
        for layer in self.down:
            features = layer(features)
            skipped.append(features)
        features = torch.cat([skipped.pop(), noise.to(features.dtype).expand(-1, -1, 4, 4)], 1)
        for layer in self.up:
            features = torch.cat([layer(features), skipped.pop() if skipped else inputs.to(features.dtype)], 1)
        return self.last(features).tanh()


class Discriminator(nn.Module):
    """Scores overlapping patches of an image beside its condition; each patch has one logit.

    `depth` convolutions halve the sides, so a patch is 14, 30 or 62 pixels wide for a depth of 2, 3 or 4 and there are
    (side / 2^depth)^2 of them. `spectral_norm` takes batch norm's place (Miyato et al. 2018).
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        condition_shape: tuple[int, ...],
        base_channels: int = 64,
        depth: int = 2,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        check_positive("model", base_channels=base_channels, depth=depth)
        self.side = check_resolution(sample_shape, "image_to_image", RESOLUTIONS)
        if self.side >> depth < 2:
            raise UserError(f"model.depth={depth}: {self.side} pixels can be halved {int(math.log2(self.side)) - 1} times")
        widths = [base_channels * min(2**stage, WIDEST) for stage in range(depth)]
        inputs = sample_shape[0] + condition_shape[0]
        pairs = itertools.pairwise([inputs, *widths])
        self.layers = nn.Sequential(
            *(halving(before, after, before != inputs and not spectral_norm) for before, after in pairs),
            nn.Conv2d(widths[-1], 1, 3, 1, 1),
        )
        self.apply(initialize)
        if spectral_norm:
            normalize_spectrally(self)

    def forward(self, images: Tensor, condition: Tensor) -> Scores:
        """(B, C, H, W) and conditions (B, c, h, w) to logits (B, P)."""
        return Scores(self.layers(torch.cat([images, resize(condition, self.side)], 1)).flatten(1))


def resize(condition: Tensor, side: int) -> Tensor:
    """(B, c, h, w) to (B, c, side, side), bilinear; as it is where it has this size."""
    if condition.shape[2:] == (side, side):
        return condition
    return interpolate(condition, (side, side), mode="bilinear", align_corners=False)


def halving(before: int, after: int, normalized: bool) -> nn.Sequential:
    """A strided convolution to half the side."""
    norm = [nn.BatchNorm2d(after)] if normalized else []
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, 1, bias=not normalized), *norm, nn.LeakyReLU(0.2, True))


def doubling(before: int, after: int) -> nn.Sequential:
    """A transposed convolution to twice the side."""
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True))
