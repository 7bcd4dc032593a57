"""Networks that compute features of images: never part of the model, never in its checkpoint."""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from zerosum.data.images import ImageDataset


class FeatureOutput(NamedTuple):
    """Features of a batch of images, and the class logits of networks that classify."""

    features: Tensor
    """(B, F) float32"""
    logits: Tensor | None
    """(B, classes), None if the network does not classify"""


class FeatureNetwork(Protocol):
    """A network in evaluation mode; a torch module."""

    num_features: int
    num_classes: int | None
    """None if the network does not classify"""

    def __call__(self, images: Tensor) -> FeatureOutput:
        """Features of images (B, C, H, W) uint8."""
        ...


class Features(Protocol):
    """A feature extractor for the images of one dataset.

    It gives one vector an image. One that gives anything else says so by a class attribute `kind`, and is used by the
    metrics of that `kind` alone.
    """

    name: str
    """What the card and the banner call them"""
    resize: str
    """How images are brought to the network's size"""
    network: FeatureNetwork
    """Set by `prepare`"""

    def prepare(self, dataset: ImageDataset) -> None:
        """Load or train the network, or raise a UserError that says how to get its weights."""
        ...

    def describe(self) -> dict[str, str | float]:
        """Fields of the card: the features' name and the hash of the weights."""
        ...


def hash_tensors(tensors: Mapping[str, Tensor | None]) -> str:
    """16 hexadecimal digits that depend on the names, dtypes, shapes and values alone, not on a file's format."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(tensors.items()):
        if tensor is not None:
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
