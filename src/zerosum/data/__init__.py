"""Datasets: what they are, and how they reach the training step.

A dataset says its `image_shape` and gives a stream of batches for training. Pictures are kept as uint8
arrays (`PictureDataset`), points in the plane are drawn (`GaussianMixture`).
"""

from typing import NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor


class Batch(NamedTuple):
    """Real pictures (or points) and their labels."""

    images: Tensor
    """(B, C, H, W) in [-1, 1], or points (B, 2)"""
    labels: Tensor | None
    """(B,) int64"""


class Stream(Protocol):
    """An endless sequence of batches, each a function of its index."""

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """The rows `shard` of batch `index` of `size` pictures."""
        ...


class Dataset(Protocol):
    """What training and the callbacks ask of any dataset; nothing is read before `prepare`."""

    image_shape: tuple[int, ...]
    samples_pictured: int
    """How many samples make a picture that says something."""

    def prepare(self) -> None:
        """Read, decode and cache all that training needs, or raise a UserError."""
        ...

    def stream(self, seed: int, device: torch.device) -> Stream:
        """Training batches on `device`, shuffled by `seed`."""
        ...

    def picture(self, samples: Tensor) -> Image.Image:
        """A picture of samples (N, *image_shape)."""
        ...
