"""The contract of every dataset.

A dataset says its `sample_shape` and gives a stream of batches for training. Images are kept as uint8 arrays
(`ImageDataset`), points in the plane are drawn (`GaussianMixture`).
"""

from typing import NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor


class Batch(NamedTuple):
    """Real images (or points) and their condition."""

    images: Tensor
    """(B, C, H, W) in [-1, 1], or points (B, 2)"""
    condition: Tensor | None
    """(B,) int64 labels; None where the data have none"""


class Stream(Protocol):
    """An endless sequence of batches, each a function of its index."""

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """The rows `shard` of batch `index` of `size` images."""
        ...


class Dataset(Protocol):
    """What training and the callbacks need from any dataset; nothing is read before `prepare`."""

    sample_shape: tuple[int, ...]
    """(C, H, W) of images, (2,) of points"""
    num_classes: int | None
    """None where the data have no labels"""
    samples_to_draw: int
    """How many samples a picture shows by default"""

    @property
    def name(self) -> str:
        """The name on metric cards."""
        ...

    def prepare(self) -> None:
        """Read, decode and cache all that training needs, or raise a UserError."""
        ...

    def stream(self, seed: int, device: torch.device) -> Stream:
        """Training batches on `device`, shuffled by `seed`."""
        ...

    def draw(self, samples: Tensor) -> Image.Image:
        """A picture of samples (N, *sample_shape)."""
        ...
