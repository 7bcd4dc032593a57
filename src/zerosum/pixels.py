"""Images as bytes (0 to 255) and as numbers in [-1, 1]."""

import torch
from torch import Tensor


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] to 0 .. 255, clamped and rounded to nearest: truncating would shift the Frechet distance."""
    return (images.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def from_uint8(images: Tensor) -> Tensor:
    """0 .. 255 to [-1, 1], the inverse of `to_uint8`."""
    return images.float().div_(127.5).sub_(1)
