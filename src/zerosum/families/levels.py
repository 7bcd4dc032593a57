"""What a likelihood of images is of: pixels with a finite number of levels.

Pixels of `levels` levels are evenly spaced in [-1, 1]: -1 and 1 alone for 2, the 256 gray levels of bytes for 256. The
likelihood of an image is its probability. A density p over [0, 1)^d gives one to the cell of each image, of volume
levels^-d, which uniform dequantization bounds from below (Theis et al. 2016, eq. 3):

    log P(x) >= E_u log p((x + u) / levels) - d log levels,   u uniform in [0, 1)^d

Points have no levels: `levels` is None, and their likelihood is a density.
"""

import math
from collections.abc import Sequence

from torch import Tensor

from zerosum.errors import UserError


def to_levels(images: Tensor, levels: int) -> Tensor:
    """Images in [-1, 1] to int64 from 0 to levels - 1, the nearest."""
    return ((images.float() + 1) * ((levels - 1) / 2)).round().long().clamp(0, levels - 1)


def from_levels(values: Tensor, levels: int) -> Tensor:
    """0 to levels - 1 to float32 in [-1, 1], the inverse of `to_levels`."""
    return values.float() * (2 / (levels - 1)) - 1


def dequantize(images: Tensor, noise: Tensor, levels: int) -> Tensor:
    """(x + u) / levels in [0, 1), of images in [-1, 1] and noise u in [0, 1) of the same shape."""
    return (to_levels(images, levels) + noise) / levels


def log_cell_volume(sample_shape: Sequence[int], levels: int) -> float:
    """The logarithm of the volume of an image's cell in [0, 1)^d."""
    return -math.prod(sample_shape) * math.log(levels)


def check_images(family: str, sample_shape: Sequence[int]) -> None:
    """UserError for points."""
    if len(sample_shape) != 3:
        raise UserError(f"model: {family} models images, this dataset has points: take one such as dataset=digits")


def check_binary(family: str, levels: int | None) -> None:
    """UserError unless pixels are black or white."""
    if levels != 2:
        found = "points" if levels is None else f"pixels of {levels} levels"
        raise UserError(
            f"model: {family} models pixels that are black or white, this dataset has {found}: take"
            " dataset=binarized_digits or dataset=binarized_mnist"
        )
