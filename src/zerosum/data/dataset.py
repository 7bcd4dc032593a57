"""The contract of every dataset.

A dataset has a `sample_shape` and gives a stream of batches for training. Images are uint8 arrays (`ImageDataset`),
points on the line or in the plane are sampled from a known density (`KnownDensity`).
"""

from typing import NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor


class Batch(NamedTuple):
    """Real images (or points) and their condition."""

    images: Tensor
    """(B, C, H, W) in [-1, 1], or points (B, 1) or (B, 2)"""
    condition: Tensor | None
    """(B,) int64 labels, (B, A) float32 attributes, or images (B, C, H, W) in [-1, 1]; None for data without any"""


class DataShape(NamedTuple):
    """The part of a dataset that a model is built from, saved with each run."""

    sample_shape: tuple[int, ...]
    """(C, H, W) of images, (1,) or (2,) of points"""
    num_classes: int | None = None
    """None for data without labels"""
    num_attributes: int | None = None
    """None for data without attributes"""
    levels: int | None = None
    """Values that a pixel may have, evenly spaced in [-1, 1]; None for points"""
    condition_shape: tuple[int, ...] | None = None
    """(C, H, W) of the images that these images are made from; None for data without them"""


class Stream(Protocol):
    """An endless sequence of batches; each is a function of its index alone."""

    def batch(self, index: int, size: int, shard: slice) -> Batch:
        """The rows `shard` of batch number `index`, which has `size` rows."""
        ...


class Dataset(Protocol):
    """What training and the callbacks need from any dataset; nothing is read before `prepare`."""

    sample_shape: tuple[int, ...]
    """(C, H, W) of images, (1,) or (2,) of points"""
    num_classes: int | None
    """None for data without labels"""
    samples_to_draw: int
    """the default number of samples in a picture"""

    @property
    def name(self) -> str:
        """The name that metric cards carry."""
        ...

    def prepare(self) -> None:
        """Read, decode and cache all that training needs; UserError if that is not possible."""
        ...

    def stream(self, seed: int, device: torch.device) -> Stream:
        """Training batches on `device`, in an order given by `seed`."""
        ...

    def draw(self, samples: Tensor, columns: int | None = None) -> Image.Image:
        """A picture of samples (N, *sample_shape), in so many columns where it has any."""
        ...


def plural_of(dataset: Dataset) -> str:
    """What its samples are called in reports: its `plural` if it has one, else images or points by their shape."""
    return getattr(dataset, "plural", "images" if len(dataset.sample_shape) == 3 else "points")
