"""G(z) = A z + b: the generator whose samples are one Gaussian, N(b, A A^T)."""

import math

from torch import Tensor, nn

from zerosum.errors import check_positive


class Generator(nn.Module):
    """One linear layer, for points whose distribution one Gaussian may not be able to follow."""

    def __init__(self, sample_shape: tuple[int, ...], latent_dim: int = 1) -> None:
        super().__init__()
        check_positive("model", latent_dim=latent_dim)
        self.latent_dim = latent_dim
        self.layer = nn.Linear(latent_dim, math.prod(sample_shape))
        self.sample_shape = tuple(sample_shape)

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, latent_dim) to (B, *sample_shape)."""
        return self.layer(z).unflatten(1, self.sample_shape)
