"""Small patches of images at several resolutions: features that need neither labels nor weights."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from zerosum.data.images import ImageDataset
from zerosum.errors import UserError, check_positive
from zerosum.evaluation.features.extractor import FeatureOutput
from zerosum.pixels import from_uint8
from zerosum.randomness import derive

SIDE = 7
"""Height and width of a patch"""
SMALLEST = 16
"""Resolution of the coarsest level"""
BINOMIAL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


class PatchPyramid(nn.Module):
    """Random patches of each level of the Laplacian pyramid (Karras et al. 2018, progressive GANs, section 5).

    The levels halve the resolution down to 16; each but the last is the image less what the next level keeps of it.
    """

    num_classes = None

    def __init__(self, channels: int, resolution: int, patches: int, seed: int) -> None:
        super().__init__()
        self.channels = channels
        self.resolutions = [resolution]
        while self.resolutions[-1] % 2 == 0 and self.resolutions[-1] // 2 >= SMALLEST:
            self.resolutions.append(self.resolutions[-1] // 2)
        self.patches = patches
        self.seed = seed
        self.num_features = len(self.resolutions) * patches * channels * SIDE**2

    def forward(self, images: Tensor) -> FeatureOutput:
        """(B, C, H, W) uint8 to (B, levels * patches * C * 49); `by_level` undoes the flattening."""
        levels = laplacian_pyramid(from_uint8(images), len(self.resolutions))
        numbers = self.numbers(images)
        taken = [self.take(level, numbers[:, :, index]) for index, level in enumerate(levels)]
        return FeatureOutput(torch.stack(taken, 1).flatten(1), None)

    def numbers(self, images: Tensor) -> Tensor:
        """Numbers (B, patches, levels, 2) from 0 that are functions of each image alone, whatever its batch.

        A random linear hash of the pixels, modulo 2^64, is multiplied by random odd numbers; the upper bits are kept.
        """
        random = torch.Generator().manual_seed(derive(self.seed, "patches"))
        shape = (self.patches, len(self.resolutions), 2)
        weights = torch.randint(-(2**62), 2**62, images[0].shape, generator=random).to(images.device)
        factors = (2 * torch.randint(-(2**61), 2**61, shape, generator=random) + 1).to(images.device)
        hashed = (images.long() * weights).sum((1, 2, 3)) | 1
        return (hashed[:, None, None, None] * factors >> 32) & 0x3FFFFFFF

    def take(self, level: Tensor, numbers: Tensor) -> Tensor:
        """(B, patches, C, 7, 7) of a level (B, C, H, W) at the places that `numbers` (B, patches, 2) stand for."""
        windows = level.unfold(2, SIDE, 1).unfold(3, SIDE, 1)  # (B, C, H - 6, W - 6, 7, 7)
        images = torch.arange(len(level), device=level.device)[:, None].expand(numbers.shape[:2])
        return windows[images, :, numbers[..., 0] % windows.shape[2], numbers[..., 1] % windows.shape[3]]

    def by_level(self, features: Tensor) -> Tensor:
        """Features (N, F) to patches (levels, N * patches, C, 49)."""
        shape = (len(self.resolutions), self.patches, self.channels, SIDE**2)
        return features.unflatten(1, shape).transpose(0, 1).flatten(1, 2)


class LaplacianPatches:
    """`patches` of 7x7 pixels from each image at each level of its Laplacian pyramid, for `SlicedWasserstein`."""

    kind: ClassVar[str] = "patches"
    name = "patches"
    resize = "none"

    def __init__(self, patches: int = 8, seed: int = 0) -> None:
        check_positive("features", patches=patches)
        self.patches = patches
        self.seed = seed

    def prepare(self, dataset: ImageDataset) -> None:
        """Fix the levels; UserError if images are smaller than a patch."""
        if dataset.resolution < SIDE:
            raise UserError(f"features=patches needs images of {SIDE} pixels or more, not {dataset.resolution}")
        self.network = PatchPyramid(dataset.channels, dataset.resolution, self.patches, self.seed)

    def describe(self) -> dict[str, str | float]:
        """Name, and number of patches of an image at a level."""
        return {"features": self.name, "patches": self.patches, "patches_seed": self.seed}


def laplacian_pyramid(images: Tensor, levels: int) -> list[Tensor]:
    """Details at each resolution, finest first; the last level is the blurred image itself (Burt and Adelson 1983)."""
    pyramid = [images]
    for _ in range(levels - 1):
        half = blur(pyramid[-1])[:, :, ::2, ::2]
        pyramid[-1] = pyramid[-1] - double(half)
        pyramid.append(half)
    return pyramid


def double(images: Tensor) -> Tensor:
    """Twice the resolution: zeros between the pixels, then four times the blur."""
    spaced = images.new_zeros(*images.shape[:2], 2 * images.shape[2], 2 * images.shape[3])
    spaced[:, :, ::2, ::2] = images
    return 4 * blur(spaced)


def blur(images: Tensor) -> Tensor:
    """Each channel with the 5x5 binomial filter; borders are mirrored."""
    kernel = torch.outer(BINOMIAL, BINOMIAL).to(images).expand(images.shape[1], 1, 5, 5)
    return conv2d(pad(images, (2, 2, 2, 2), "reflect"), kernel, groups=images.shape[1])
