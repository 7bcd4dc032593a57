"""The contracts of the generator and the discriminator."""

from typing import NamedTuple, Protocol

from torch import Tensor


class Scores(NamedTuple):
    """The output of a discriminator for B images."""

    logits: Tensor
    """(B,), or (B, P) of P patches, never passed through a sigmoid; larger means more real"""
    class_logits: Tensor | None = None
    """(B, K), from discriminators that also classify"""
    features: Tensor | None = None
    """(B, num_features), the input of the last layer, from discriminators that labels or feature matching read"""


class Generator(Protocol):
    """A network from noise to images."""

    latent_dim: int

    def __call__(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *sample_shape); images lie in [-1, 1]."""
        ...


class Discriminator(Protocol):
    """A network from images to scores."""

    def __call__(self, images: Tensor, condition: Tensor | None = None) -> Scores:
        """(B, *sample_shape) to logits (B,)."""
        ...
