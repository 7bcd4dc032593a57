"""What can be told of an image without a network: how much ink it has, how wide it is, how it leans."""

from collections.abc import Callable

import torch
from torch import Tensor

DARKEST = 1e-3
"""Least ink that has a place"""


def ink(images: Tensor) -> Tensor:
    """(N,) mean brightness in [0, 1], of bright strokes on dark ground: how thick they are."""
    return (images.clamp(-1, 1).flatten(1).mean(1) + 1) / 2


def moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variances (N,) of x and y and their covariance, weighted by brightness; x and y go from -1 to 1."""
    mass = (images.clamp(-1, 1).mean(1) + 1) / 2  # (N, H, W)
    mass = mass / mass.sum((1, 2), keepdim=True).clamp(min=DARKEST)
    y = torch.linspace(-1, 1, images.shape[2])[:, None]
    x = torch.linspace(-1, 1, images.shape[3])[None]
    mean_x, mean_y = (mass * x).sum((1, 2)), (mass * y).sum((1, 2))
    off_x, off_y = x - mean_x[:, None, None], y - mean_y[:, None, None]
    return (mass * off_x**2).sum((1, 2)), (mass * off_y**2).sum((1, 2)), (mass * off_x * off_y).sum((1, 2))


def width(images: Tensor) -> Tensor:
    """(N,) deviation of x, weighted by brightness, as a share of half the image."""
    return moments(images)[0].sqrt()


def slant(images: Tensor) -> Tensor:
    """(N,) how far strokes lean to the right for each step up: -cov(x, y) / var(y), since y points down."""
    _, vertical, together = moments(images)
    return -together / vertical.clamp(min=DARKEST)


ATTRIBUTES: dict[str, Callable[[Tensor], Tensor]] = {"ink": ink, "width": width, "slant": slant}
WORDS = {
    "thick": ("ink", 1), "thin": ("ink", -1), "bright": ("ink", 1), "dark": ("ink", -1),
    "wide": ("width", 1), "narrow": ("width", -1), "right-leaning": ("slant", 1), "left-leaning": ("slant", -1),
}  # fmt: skip
"""Words of attributes: much (1) or little (-1) of one"""


def measure_all(images: Tensor) -> dict[str, Tensor]:
    """Every attribute of images (N, C, H, W)."""
    return {name: measure(images) for name, measure in ATTRIBUTES.items()}
