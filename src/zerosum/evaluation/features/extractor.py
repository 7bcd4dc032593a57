"""Networks whose features are compared: never part of the model, never in its checkpoint."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Protocol

from torch import Tensor

from zerosum.data.images import ImageDataset


class FeatureOutput(NamedTuple):
    """What a network makes of pictures."""

    features: Tensor
    """(B, F) float32"""
    logits: Tensor | None
    """(B, classes), None where the network does not classify"""


class FeatureNetwork(Protocol):
    """A network in evaluation mode; a torch module."""

    num_features: int
    num_classes: int | None
    """None where the network does not classify."""

    def __call__(self, pictures: Tensor) -> FeatureOutput:
        """(B, C, H, W) uint8"""
        ...


class Features(Protocol):
    """A feature extractor for pictures of one dataset."""

    resize: str
    """How pictures are brought to the network's size."""
    network: FeatureNetwork
    """There after `prepare`."""

    def prepare(self, dataset: ImageDataset) -> None:
        """Get the weights, or raise a UserError that says how to."""
        ...

    def describe(self) -> dict[str, str | float]:
        """What a metric card says of the features: their name, the hash of the weights."""
        ...


def hash_of(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
