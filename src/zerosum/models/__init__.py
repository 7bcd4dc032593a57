"""Networks, one family a file, behind two contracts."""

from typing import Protocol

from torch import Tensor


class Generator(Protocol):
    """Noise to pictures."""

    latent_dim: int

    def __call__(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *image_shape); pictures lie in [-1, 1]."""
        ...


class Discriminator(Protocol):
    """Pictures to logits, which never pass a sigmoid."""

    def __call__(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, *image_shape) to (B,)."""
        ...
